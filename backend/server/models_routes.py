"""The models over HTTP: thin endpoints over `Downloads`."""

from __future__ import annotations

from fastapi import FastAPI, Request

from backend.downloads.manager import Downloads
from backend.downloads.views import GetOptions, ModelView
from backend.server.limits import asking
from backend.server.problems import documented
from backend.server.scope import check_administrator


def add_model_routes(app: FastAPI, downloads: Downloads) -> None:
    """Look, download, pause, verify, remove. Progress is in what they show; it is asked for now and then."""
    missing = documented("model-not-found")

    @app.get("/models", responses=documented())
    def models(request: Request) -> list[ModelView]:
        """Every model of the catalogue: its licence, and how much of it is here."""
        return [_shown(view, request) for view in downloads.list()]

    @app.get("/models/{model}", responses=missing)
    def model_view(model: str, request: Request) -> ModelView:
        """One model."""
        return _shown(downloads.view(model), request)

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
    def get(model: str, body: GetOptions, request: Request) -> ModelView:
        """Start a download, or go on with it."""
        check_administrator(asking(request.scope))
        return downloads.get(model, body.accept_licence)

    @app.delete("/models/{model}/download", responses=missing)
    def pause(model: str, request: Request) -> ModelView:
        """Pause a download; what has come is kept."""
        check_administrator(asking(request.scope))
        return downloads.pause(model)

    @app.post(
        "/models/{model}/verify",
        status_code=202,
        responses=documented("model-not-found", "weights-missing", "model-busy"),
    )
    def verify(model: str, request: Request) -> ModelView:
        """Hash every file. Damaged ones that were downloaded here are removed, and come with the next download."""
        check_administrator(asking(request.scope))
        return downloads.verify(model)

    @app.delete(
        "/models/{model}",
        responses=documented("model-not-found", "model-busy", "model-not-ours", "output-not-writable"),
    )
    def remove(model: str, request: Request) -> ModelView:
        """Remove what was downloaded here."""
        check_administrator(asking(request.scope))
        return downloads.remove(model)


def _shown(view: ModelView, request: Request) -> ModelView:
    """Where a model lies on the server is its administrators' business."""
    return view if asking(request.scope).administrator else view.model_copy(update={"folder": ""})
