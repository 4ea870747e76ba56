"""Every error a user can meet, in one table.

A `Problem` is raised anywhere in the backend with a code of this table and a sentence that says what
is wrong with *this* input. It leaves the server as an RFC 9457 problem document, the command line as
two lines on standard error, and reaches Blender's panel unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError


@dataclass(frozen=True)
class ErrorKind:
    """One row of the error table: HTTP status, short title, and what to do when nothing better is known."""

    status: int
    title: str
    hint: str


ERRORS = MappingProxyType(
    {
        # request
        "request-invalid": ErrorKind(
            422, "The request is not valid", "Correct the field that is named and send it again."
        ),
        "request-too-large": ErrorKind(
            413, "The request is too large", "Send a smaller picture; 64 megapixels and 256 MB are the limit."
        ),
        "key-reused": ErrorKind(
            422, "The key of the request was used for another one", "Give each request for a new job a key of its own."
        ),
        "not-found": ErrorKind(404, "Not found", "Refresh the list; the entry may have been deleted."),
        "method-not-allowed": ErrorKind(
            405, "This address does not take that kind of request", "See docs/api.md for what it takes."
        ),
        "token-wrong": ErrorKind(
            401,
            "The access token is missing or wrong",
            "Restart the server from Blender, or give the token it was started with.",
        ),
        "host-refused": ErrorKind(
            403, "The request came for another host", "Talk to the server as 127.0.0.1 or localhost."
        ),
        "origin-refused": ErrorKind(
            403, "The request came from a web page elsewhere", "Use Set Dresser, or the server's own pages."
        ),
        # a server that others can reach
        "not-allowed": ErrorKind(
            403, "That is for administrators of this server", "Ask whoever runs the server to do it."
        ),
        "too-many-requests": ErrorKind(
            429, "There were too many requests", "Wait as long as the answer's Retry-After says, then send it again."
        ),
        "queue-full": ErrorKind(
            429, "Too many of your jobs are waiting", "Wait until some are done, or cancel those you do not need."
        ),
        "share-used-up": ErrorKind(
            507, "Your share of the server's disk is used up", "Remove jobs that you do not need any more."
        ),
        "upload-not-found": ErrorKind(
            409,
            "A picture that the request names was not sent",
            "Send it first (PUT /uploads/{sha256}), then the request.",
        ),
        "upload-out-of-step": ErrorKind(
            409, "The bytes do not begin where the upload has got", "Ask how much has come, and go on from there."
        ),
        "upload-damaged": ErrorKind(
            422, "What was sent does not have the hash that was named", "Send it again from its first byte."
        ),
        "range-unusable": ErrorKind(
            416, "The file does not reach that far", "Ask for the whole file, or for bytes that it has."
        ),
        "entrance-unsafe": ErrorKind(
            422, "The server would not be safe like that", "See docs/studio.md for the ways a server can be reached."
        ),
        "certificate-unusable": ErrorKind(
            422, "The certificate cannot be used", "Name a valid certificate and its key: --tls CERTIFICATE KEY."
        ),
        "users-unusable": ErrorKind(
            503, "The list of users cannot be used", "Ask whoever runs the server; its log says what is wrong."
        ),
        "protocol-mismatch": ErrorKind(
            409, "Add-on and server do not belong together", "Install the same version of both, then restart Blender."
        ),
        # pictures
        "image-unreadable": ErrorKind(
            422, "The picture cannot be read", "Open it in a picture editor and save it again as PNG or JPEG."
        ),
        "image-truncated": ErrorKind(422, "The picture is cut off", "The file is incomplete; copy or export it again."),
        "image-too-large": ErrorKind(413, "The picture is too large", "Scale it down; 64 megapixels are the limit."),
        "image-animated": ErrorKind(422, "The picture has several frames", "Save the one frame you want as PNG."),
        "image-empty": ErrorKind(
            422,
            "There is nothing in the picture",
            "Use a picture in which the object can be seen, or give an instance map.",
        ),
        "background-unclear": ErrorKind(
            422,
            "The object does not stand out from its background",
            "Use a plainer background, an image with transparency, or an instance map.",
        ),
        # instance maps, depth, camera
        "instances-unreadable": ErrorKind(
            422, "The instance map cannot be read", "Save it as PNG with one colour or one index per object."
        ),
        "instances-empty": ErrorKind(
            422, "The instance map is empty", "Paint at least one object in another colour than the background (black)."
        ),
        "instances-mismatch": ErrorKind(
            422, "Picture and instance map differ", "Render or export both at the same size."
        ),
        "instances-too-many": ErrorKind(
            422,
            "The instance map has too many objects",
            "Save it without smoothing or compression, so that each object has exactly one colour.",
        ),
        "outlines-mismatch": ErrorKind(
            422, "Outlines and instance map differ", "Render outlines and instance map of the same objects at once."
        ),
        "instances-not-found": ErrorKind(
            422, "Nothing was found in the picture", "Lower the threshold, use other words, or draw boxes."
        ),
        "depth-unreadable": ErrorKind(
            422,
            "The depth cannot be read",
            "Give a .npy file of 32-bit numbers, metres along the view, as large as the picture.",
        ),
        "depth-mismatch": ErrorKind(422, "Picture and depth differ", "Render both at the same size."),
        "camera-invalid": ErrorKind(
            422, "The camera is not usable", "Use a perspective camera without scale; see docs/api.md for the fields."
        ),
        "scene-unreadable": ErrorKind(
            422, "The scene cannot be read", "Give a glTF binary (.glb) with one node per object and its triangles."
        ),
        # pipelines and jobs
        "pipeline-unknown": ErrorKind(422, "There is no such pipeline", "Choose one from the list of pipelines."),
        "parameters-invalid": ErrorKind(422, "A parameter is out of range", "Correct the parameter that is named."),
        "weights-missing": ErrorKind(409, "The model is not installed", "Download the model first."),
        "weights-damaged": ErrorKind(
            409, "A file of the model is damaged", "Delete the file that is named and download it again."
        ),
        "weights-foreign": ErrorKind(
            409, "The files belong to another model", "Put the right model into the folder that is named."
        ),
        # models and their download
        "model-not-found": ErrorKind(404, "There is no such model", "Choose one from the list of models."),
        "licence-not-accepted": ErrorKind(
            409, "The model's licence is not accepted", "Read what the licence says, accept it, and start again."
        ),
        "model-busy": ErrorKind(
            409, "The model is being downloaded or checked", "Wait until that has ended, or pause it."
        ),
        "model-not-ours": ErrorKind(
            409, "The model was put there by another program", "Remove it by hand, or with what put it there."
        ),
        "offline": ErrorKind(
            409,
            "Going online is switched off",
            "Switch on Allow Online Access in Blender's preferences (System, Network), then try again.",
        ),
        "hub-access-denied": ErrorKind(
            403,
            "The hub refuses access to the model",
            "Accept the terms on the model's page, then log in on this computer (hf auth login).",
        ),
        "hub-not-found": ErrorKind(
            404, "The hub does not have it", "It may have been moved or withdrawn; look at the model's page."
        ),
        "hub-busy": ErrorKind(429, "The hub asks to wait", "Try again later; what has come so far is kept."),
        "hub-failed": ErrorKind(
            502, "The hub does not answer as it should", "Try again later; what has come so far is kept."
        ),
        "hub-unreachable": ErrorKind(
            502,
            "The hub cannot be reached",
            "Look after the network connection and start again; what has come so far is kept.",
        ),
        "certificate-refused": ErrorKind(
            502,
            "The connection to the hub is not trustworthy",
            "A proxy or an antivirus program may be reading the connection: have its certificate installed in the "
            "system, name it in the environment variable SSL_CERT_FILE, or correct the computer's clock.",
        ),
        "download-damaged": ErrorKind(
            502, "What came is not what the hub announced", "Try again later, or over another network."
        ),
        "device-missing": ErrorKind(
            409, "The device is not there", "Choose another one, or leave the choice to the backend (auto)."
        ),
        "engine-missing": ErrorKind(
            409, "The backend lacks what this pipeline runs on", "Install the learned pipelines' requirements."
        ),
        "job-not-found": ErrorKind(404, "There is no such job", "Refresh the list; the job may have been deleted."),
        "inputs-gone": ErrorKind(
            409, "The job's inputs are not there any more", "Generate it anew from the block-out or the picture."
        ),
        "data-gone": ErrorKind(
            409,
            "The data folder is not there any more",
            "Put it back, or restart the backend to begin with an empty list.",
        ),
        "list-busy": ErrorKind(
            503, "The list of jobs is in use", "Try again in a moment; close other programs that look into it."
        ),
        "job-not-finished": ErrorKind(409, "The job has no result yet", "Wait until it is done."),
        "finish-not-possible": ErrorKind(
            409, "The job cannot be ended early", "Refresh the job; it may have gone on or ended."
        ),
        "continue-not-possible": ErrorKind(
            409, "The job has nothing to go on from", "Generate it again: that makes a new job of the same pictures."
        ),
        "input-not-expected": ErrorKind(
            409, "The job is not waiting for an answer", "Refresh the job; it may have gone on or ended."
        ),
        "answer-invalid": ErrorKind(
            422, "The answer does not fit the question", "Look at the question and answer again."
        ),
        "preparation-unknown": ErrorKind(
            422, "There is no such preparation", "Choose one from the list of preparations."
        ),
        "file-not-found": ErrorKind(404, "The job has no such file", "Ask for scene.glb or result.json."),
        "worker-died": ErrorKind(
            500,
            "The worker process ended unexpectedly",
            "Try again; if it happens again, use a smaller picture and look into the log.",
        ),
        "cluster-away": ErrorKind(
            503, "The cluster cannot be reached", "The jobs wait, and go on when it is back; look after the cluster."
        ),
        "cluster-unusable": ErrorKind(
            422, "The cluster cannot be used like that", "See docs/studio.md for how a server works on a cluster."
        ),
        "worker-start-failed": ErrorKind(
            500,
            "The worker process did not start",
            "Look into the log; the backend's Python environment may be damaged.",
        ),
        "out-of-memory": ErrorKind(
            507, "There is not enough memory", "Close other programs, or lower the picture size or the quality."
        ),
        "disk-full": ErrorKind(507, "The disk is full", "Free some space and try again; finished jobs are safe."),
        "interrupted": ErrorKind(
            500, "The job was interrupted too often", "Start it again; if it happens again, look into the log."
        ),
        "cancelled": ErrorKind(409, "The job was cancelled", "Start it again when you want it."),
        "geometry-failed": ErrorKind(
            500, "No mesh could be made", "Look at the instance map; the object may be too thin or too small."
        ),
        "picture-failed": ErrorKind(
            500, "No picture could be painted", "Choose another seed, fewer steps or a lower guidance."
        ),
        "optimisation-diverged": ErrorKind(
            500,
            "The optimisation ran off",
            "Start it with another seed; if that happens again, choose another precision.",
        ),
        "video-failed": ErrorKind(
            500, "The video could not be made", "Switch the video off; the prop itself does not depend on it."
        ),
        "output-not-writable": ErrorKind(507, "The result cannot be written", "Choose a folder that you may write to."),
        "internal": ErrorKind(
            500, "Something went wrong in the backend", "Try again; if it happens again, report it with the log."
        ),
    }
)


class Problem(Exception):
    """An error with a code of `ERRORS`, a sentence about this very case, and what to do.

    Args:
        code: a key of `ERRORS`.
        detail: a full sentence: what is wrong with this input.
        hint: what to do; the table's hint if left out.
        extra: further members of the problem document (JSON-serialisable).
    """

    def __init__(self, code: str, detail: str, hint: str | None = None, **extra: Any) -> None:
        self.kind = ERRORS[code]
        self.code = code
        self.detail = detail
        self.hint = hint or self.kind.hint
        self.extra = extra
        super().__init__(f"{code}: {detail}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.code, self.detail, self.hint, self.extra)

    def document(self) -> dict[str, Any]:
        """The RFC 9457 problem document: type, title, status, detail, plus `code` and `hint`."""
        return {
            "type": f"urn:set-dresser:problem:{self.code}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "code": self.code,
            "hint": self.hint,
            **self.extra,
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Problem:
        """The problem that `document()` wrote; an unknown code becomes `internal`."""
        code = document.get("code", "internal")
        known = ("type", "title", "status", "detail", "code", "hint")
        extra = {key: value for key, value in document.items() if key not in known}
        return cls(code if code in ERRORS else "internal", document.get("detail", ""), document.get("hint"), **extra)


def _rebuild(code: str, detail: str, hint: str, extra: dict[str, Any]) -> Problem:
    return Problem(code, detail, hint, **extra)


def faults(error: ValidationError, whole: str) -> list[str]:
    """What is wrong in each field, as "field: sentence"; `whole` stands for what is wrong in no single one."""
    return [f"{'.'.join(map(str, item['loc'])) or whole}: {said(item['msg'])}" for item in error.errors()]


def said(message: str) -> str:
    """A fault as the code that found it puts it, without pydantic's own beginning."""
    return message.removeprefix("Value error, ")
