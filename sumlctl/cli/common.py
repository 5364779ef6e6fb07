"""Options that many commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from sumlctl.workspace import Workspace

WorkspaceOption = Annotated[
    Workspace,
    typer.Option(
        "--workspace",
        envvar="SUMLCTL_WORKSPACE",
        parser=Workspace,
        metavar="DIR",
        help="Folder that holds manifests, data and runs.",
    ),
]
HERE = Workspace(".")
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
