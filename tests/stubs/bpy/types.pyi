from typing import Any

class _Struct:
    bl_idname: str
    bl_label: str
    bl_description: str
    bl_options: set[str]
    def __getattr__(self, name: str) -> Any: ...

class Operator(_Struct):
    layout: Any
    @classmethod
    def poll_message_set(cls, message: str) -> None: ...
    def report(self, type: set[str], message: str) -> None: ...

class Panel(_Struct):
    layout: Any

class Menu(_Struct):
    layout: Any

class UIList(_Struct):
    layout_type: str

class PropertyGroup(_Struct):
    name: str

class AddonPreferences(_Struct):
    layout: Any

def __getattr__(name: str) -> Any: ...
