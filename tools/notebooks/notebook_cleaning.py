"""What is left out of an executed notebook, so that equal runs give equal files."""

import re
from collections.abc import Iterable

import nbformat

VIEW = "application/vnd.jupyter.widget-view+json"
PROGRESS = re.compile(r"\d+%\|")
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop what differs between equal runs or fails to show without a kernel, in place."""
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        cell.outputs = [kept for kept in map(clean_output, joined(cell.outputs)) if kept]
    return notebook


def clean_output(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    """Return an output without widget view and progress bars; None when nothing is left."""
    if output.output_type == "stream":
        lines = [line.split("\r")[-1] for line in output.text.rstrip("\r").split("\n")]
        kept = "\n".join(line for line in lines if not PROGRESS.search(line))
        output.text = kept.lstrip("\n")
        return output if output.text.strip() else None
    if VIEW in output.get("data", {}):
        del output.data[VIEW]
        return output if "image/png" in output.data else None
    return output


def joined(outputs: Iterable[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Return outputs with neighbouring pieces of one stream made one: how they are cut varies."""
    kept: list[nbformat.NotebookNode] = []
    for output in outputs:
        same = kept and output.output_type == "stream" == kept[-1].output_type
        if same and output.name == kept[-1].name:
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept
