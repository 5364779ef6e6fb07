"""Options that many commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from sumlctl.workspace import Workspace

HERE = Workspace(".")


def _workspace(value: str | Workspace) -> Workspace:
    return value if isinstance(value, Workspace) else Workspace(value)


WorkspaceOption = Annotated[
    Workspace,
    typer.Option(
        "--workspace",
        envvar="SUMLCTL_WORKSPACE",
        parser=_workspace,
        metavar="DIR",
        show_default=".",
        help="Folder that holds manifests, data and runs.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
