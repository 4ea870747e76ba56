"""The add-on's words in other languages: Blender looks up what a layout or a tooltip is given, and these tables answer.

Blender translates a text when it draws it, whole, by the English text itself. So labels, buttons, tooltips and the
choices of lists stand in the code as complete English texts, none of them glued together; `panels/text.py` looks up
sentences before it breaks them into lines. What is said with something filled in (a name, a number, a path) stays
English, as do the messages of the backend, which leave the server as they are.

Another language is another table in `LANGUAGES`. A text that a table lacks stays English.
"""

from __future__ import annotations

import bpy

CONTEXTS = ("*", "Operator")
"""Blender looks for the labels of buttons in the second."""

GERMAN = {
    # the set
    "Source": "Quelle",
    "Active Camera": "Aktive Kamera",
    "Image File": "Bilddatei",
    "Block-Out": "Block-out",
    "Selected Objects": "Ausgewählte Objekte",
    "Hide Block-Out": "Block-out ausblenden",
    "Objects": "Objekte",
    "One Object": "Ein Objekt",
    "Label Image": "Maskenbild",
    "Find Objects": "Objekte finden",
    "Match Active Camera": "Wie aktive Kamera",
    "Imagine": "Ausmalen",
    "Pipeline": "Verfahren",
    "Generate": "Erzeugen",
    "Jobs": "Aufträge",
    "Where the picture comes from": "Woher das Bild kommt",
    "What the scene's camera renders": "Was die Kamera der Szene sieht",
    "A picture on disk": "Ein Bild von der Festplatte",
    "A picture in this file": "Ein Bild in dieser Datei",
    "Which objects become props": "Aus welchen Objekten Requisiten werden",
    "What the picture shows": "Was auf dem Bild zu sehen ist",
    "How props are made": "Wie Requisiten gemacht werden",
    "Where chance starts from": "Wo der Zufall beginnt",
    "Hide each block-out when its prop has come; it is kept": (
        "Jedes Block-out ausblenden, sobald seine Requisite da ist; es bleibt erhalten"
    ),
    "Paint the block-out from a description first, and make the props of that picture": (
        "Das Block-out zuerst nach einer Beschreibung ausmalen und die Requisiten aus diesem Bild machen"
    ),
    "Make props of what the picture shows. Work on meanwhile; they come in when they are done": (
        "Aus dem, was das Bild zeigt, Requisiten machen. Man kann weiterarbeiten; sie kommen, wenn sie fertig sind"
    ),
    # jobs and the backend
    "Cancel": "Abbrechen",
    "Cancel this job": "Diesen Auftrag abbrechen",
    "Import": "Importieren",
    "Import the props of this job, again if they were imported before": (
        "Die Requisiten dieses Auftrags importieren, auch noch einmal"
    ),
    "Remove Job": "Auftrag entfernen",
    "Refresh": "Aktualisieren",
    "Copy Details": "Einzelheiten kopieren",
    "Start Backend": "Backend starten",
    "Stop Backend": "Backend beenden",
    "Open Log": "Protokoll öffnen",
    "Install": "Installieren",
    "Stop Installing": "Installation anhalten",
    "Use Chosen": "Auswahl verwenden",
    "Go On": "Weiter",
    "Start Over": "Von vorn",
}

LANGUAGES = {"de_DE": GERMAN}


def register() -> None:
    tables = {
        language: {(context, text): said for text, said in words.items() for context in CONTEXTS}
        for language, words in LANGUAGES.items()
    }
    bpy.app.translations.register(__package__, tables)


def unregister() -> None:
    bpy.app.translations.unregister(__package__)
