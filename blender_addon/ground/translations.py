"""The add-on's words in other languages: Blender looks up what a layout or a tooltip is given, and these tables answer.

Blender translates a text when it draws it, whole, by the English text itself. So labels, buttons, tooltips and the
choices of lists stand in the code as complete English texts, none of them glued together; `panels/text.py` looks up
sentences before it breaks them into lines. What is said with something filled in (a name, a number, a path) stays
English, as do the messages of the backend, which leave the server as they are.

Another language is another table in `LANGUAGES`. A text that a table lacks stays English.
"""

from __future__ import annotations

import bpy

from .package import NAME

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
    "Keep Where Props Were Moved": "Verschobene am Platz lassen",
    "Objects": "Objekte",
    "One Object": "Ein Objekt",
    "Label Image": "Maskenbild",
    "Find Objects": "Objekte finden",
    "Match Active Camera": "Wie aktive Kamera",
    "Height": "Höhe",
    "Place at": "Aufstellen",
    "Camera's Floor": "Boden der Kamera",
    "3D Cursor": "3D-Cursor",
    "Where the Picture Says": "Wo das Bild es zeigt",
    "Match Render Size": "Rendergröße anpassen",
    "The picture has another shape than the render": "Das Bild hat eine andere Form als das Rendering",
    "Imagine": "Ausmalen",
    "Text": "Text",
    "How to Paint": "Wie gemalt wird",
    "Write what is to be made": "Schreiben, was entstehen soll",
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
    "A prop made again takes the place to which you have moved the one that is there; otherwise it stands where its "
    "block-out stands": (
        "Eine neu gemachte Requisite kommt dorthin, wohin die vorhandene verschoben wurde; sonst dorthin, wo ihr "
        "Block-out steht"
    ),
    "Paint the block-out from a description first, and make the props of that picture": (
        "Das Block-out zuerst nach einer Beschreibung ausmalen und die Requisiten aus diesem Bild machen"
    ),
    "Make props of what the picture shows. Work on meanwhile; they come in when they are done": (
        "Aus dem, was das Bild zeigt, Requisiten machen. Man kann weiterarbeiten; sie kommen, wenn sie fertig sind"
    ),
    "More Settings": "Weitere Einstellungen",
    "Picture": "Bild",
    "Making": "Erzeugung",
    "Views": "Ansichten",
    "Mesh": "Netz",
    "Texture": "Textur",
    "Placing": "Aufstellung",
    "Computing": "Berechnung",
    "Finish Now": "Jetzt abschließen",
    "End this job early, with the best that it has by now. It can be continued later": (
        "Diesen Auftrag vorzeitig beenden, mit dem Besten, was er bis jetzt hat. Er kann später fortgesetzt werden"
    ),
    "Continue": "Fortsetzen",
    "Finished early: it can go on from here, now or later.": (
        "Vorzeitig abgeschlossen: Es kann von hier aus weitergehen, jetzt oder später."
    ),
    "Go on from where this job was; props that it has brought before give way to the better ones": (
        "Da weitermachen, wo dieser Auftrag war; Requisiten, die er schon gebracht hat, weichen den besseren"
    ),
    "Show in Image Editor": "Im Bildeditor zeigen",
    "Watch what this job shows in an Image Editor, for as long as it runs": (
        "In einem Bildeditor verfolgen, was dieser Auftrag zeigt, solange er läuft"
    ),
    "Another Seed": "Anderer Startwert",
    "Throw the dice: begin somewhere else the next time": "Würfeln: beim nächsten Mal woanders beginnen",
    "Add Camera to View": "Kamera für diese Ansicht",
    "Allow Online Access": "Internetzugriff erlauben",
    "Nothing that is selected can become a prop": "Nichts von der Auswahl kann eine Requisite werden",
    "Show Block-Outs": "Block-outs einblenden",
    "Hide Block-Outs": "Block-outs ausblenden",
    # several photos
    "Photos": "Fotos",
    "Files": "Dateien",
    "Cameras": "Kameras",
    "Azimuth": "Azimut",
    "Azimuth Known": "Azimut bekannt",
    "Add Image Files": "Bilddateien hinzufügen",
    "Add Image": "Bild hinzufügen",
    "Add Cameras": "Kameras hinzufügen",
    "Remove Photo": "Foto entfernen",
    "Move Photo": "Foto verschieben",
    "Clear Photos": "Alle Fotos entfernen",
    "Spread Evenly": "Gleichmäßig verteilen",
    "Several pictures of one object: files, images, cameras round its block-out": (
        "Mehrere Bilder eines Objekts: Dateien, Bilder, Kameras rund um sein Block-out"
    ),
    "Pictures of one object, in the order in which they are sent": (
        "Bilder eines Objekts, in der Reihenfolge, in der sie gesendet werden"
    ),
    "What a camera of the scene sees of the block-out": "Was eine Kamera der Szene vom Block-out sieht",
    "The camera that takes the picture": "Die Kamera, die das Bild aufnimmt",
    "Whether it is known from which side the picture was taken": (
        "Ob bekannt ist, von welcher Seite das Bild aufgenommen wurde"
    ),
    "Add pictures on disk, in the order of their names; several can be chosen at once": (
        "Bilder von der Festplatte nach Namen geordnet hinzufügen; mehrere auf einmal sind möglich"
    ),
    "Add a picture of this file": "Ein Bild dieser Datei hinzufügen",
    "Add the selected cameras; if none is selected, all cameras of a collection": (
        "Die ausgewählten Kameras hinzufügen; ist keine ausgewählt, alle Kameras einer Sammlung"
    ),
    "Take the selected photo off the list": "Das ausgewählte Foto aus der Liste nehmen",
    "Take all photos off the list": "Alle Fotos aus der Liste nehmen",
    "Move the selected photo in the list. The first one tells where the prop stands": (
        "Das ausgewählte Foto in der Liste verschieben. Das erste sagt, wo die Requisite steht"
    ),
    "Set the azimuths as if the photos were taken at even steps on one round, counter-clockwise": (
        "Die Azimute setzen, als wären die Fotos in gleichen Schritten gegen den Uhrzeigersinn entstanden"
    ),
    "All of them together become one prop": "Alle zusammen werden eine Requisite",
    "Move a camera to the top to place the prop on the block-out": (
        "Eine Kamera nach oben schieben, damit die Requisite auf das Block-out kommt"
    ),
    "Add photos to the list": "Fotos zur Liste hinzufügen",
    # jobs and the backend
    "Cancel": "Abbrechen",
    "Cancel this job": "Diesen Auftrag abbrechen",
    "Import": "Importieren",
    "Import the props of this job; those of an earlier import give way and stay as hidden variants": (
        "Die Requisiten dieses Auftrags importieren; früher importierte weichen und bleiben als verborgene Varianten"
    ),
    "Remove Job": "Auftrag entfernen",
    "Use Its Settings": "Seine Einstellungen",
    "Set pipeline, parameters and seed as they were for this job": (
        "Verfahren, Parameter und Startwert so setzen, wie sie bei diesem Auftrag waren"
    ),
    "Install Everything": "Alles installieren",
    "Inflate Only": "Nur Inflate",
    "Remove Them": "Entfernen",
    "Keep Them": "Behalten",
    "Ready": "Bereit",
    "Stopped": "Angehalten",
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
    # views
    "Reconstruct": "Rekonstruieren",
    "Use Defaults": "Wie vorgeschlagen",
    "Clear": "Leeren",
    "Put this view into the next empty slot, or take it out of its slot": (
        "Diese Ansicht in den nächsten leeren Platz setzen oder wieder herausnehmen"
    ),
    "Take the view out of this slot": "Die Ansicht aus diesem Platz nehmen",
    "Take the views out of all slots": "Alle Plätze leeren",
    "Make the views of this photo anew with another seed; what was picked of other photos stays": (
        "Die Ansichten dieses Fotos mit anderem Startwert neu machen; was von anderen Fotos gewählt ist, bleibt"
    ),
    # variants
    "Re-make With…": "Neu machen mit …",
}

LANGUAGES = {"de_DE": GERMAN}


def register() -> None:
    tables = {
        language: {(context, text): said for text, said in words.items() for context in CONTEXTS}
        for language, words in LANGUAGES.items()
    }
    bpy.app.translations.register(NAME, tables)


def unregister() -> None:
    bpy.app.translations.unregister(NAME)
