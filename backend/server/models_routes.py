"""The models over HTTP: thin endpoints over `Downloads`."""

from __future__ import annotations

from fastapi import FastAPI

from backend.downloads.manager import Downloads
from backend.downloads.views import GetOptions, ModelView
from backend.server.problems import documented


def add_model_routes(app: FastAPI, downloads: Downloads) -> None:
    """Look, download, pause, verify, remove. Progress is in what they show; it is asked for now and then."""
    missing = documented("model-not-found")

    @app.get("/models", responses=documented())
    def models() -> list[ModelView]:
        """Every model of the catalogue: its licence, and how much of it is here."""
        return downloads.list()

    @app.get("/models/{model}", responses=missing)
    def model_view(model: str) -> ModelView:
        """One model."""
        return downloads.view(model)

    @app.post(
        "/models/{model}",
        status_code=202,
        responses=documented(
            "model-not-found",
            "licence-not-accepted",
            "offline",
            "model-busy",
            "request-too-large",
            "output-not-writable",
        ),
    )
    def get(model: str, body: GetOptions) -> ModelView:
        """Start a download, or go on with it."""
        return downloads.get(model, body.accept_licence)

    @app.delete("/models/{model}/download", responses=missing)
    def pause(model: str) -> ModelView:
        """Pause a download; what has come is kept."""
        return downloads.pause(model)

    @app.post(
        "/models/{model}/verify",
        status_code=202,
        responses=documented("model-not-found", "weights-missing", "model-busy"),
    )
    def verify(model: str) -> ModelView:
        """Hash every file. Damaged ones that were downloaded here are removed, and come with the next download."""
        return downloads.verify(model)

    @app.delete(
        "/models/{model}",
        responses=documented("model-not-found", "model-busy", "model-not-ours", "output-not-writable"),
    )
    def remove(model: str) -> ModelView:
        """Remove what was downloaded here."""
        return downloads.remove(model)
