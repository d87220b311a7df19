"""The verb ``shell``: the other verbs at a prompt, without the path."""

from __future__ import annotations

import typer

from minidb.cli import arguments


def shell(context: typer.Context, path: arguments.Path) -> None:
    """Type verbs at a prompt: the same ones, without the path of the database.

    On a terminal it completes verbs, tables and fields, keeps a history, and says how long each verb took. A line with
    an open quote, or a backslash at its end, goes on in the next. Ctrl-C ends what runs, and undoes it; Ctrl-D leaves;
    `.help` tells more. From a pipe it reads lines, and stops at the first error. `pip install 'minidb-kv[shell]'`
    brings completion, colours and history; without it the prompt is a plain one.

    ```console
    $ minidb shell shop.db < questions.txt
    ```
    """
    from minidb.cli.shell import Shell

    code = Shell(context.find_root().command, path).run()
    if code:
        raise typer.Exit(code)
