import json

import pytest

from loadtest.machine import Busy, this_machine, watching
from loadtest.tables import read_measured, table, write_measured
from relevance.errors import BadInput


def test_columns_are_as_wide_as_their_widest_cell_and_numbers_stand_right() -> None:
    shown = table(("name", "ms"), [("a", "1.5"), ("longer", "120.0")])

    assert shown.splitlines() == [
        "| name   |    ms |",
        "| ------ | ----: |",
        "| a      |   1.5 |",
        "| longer | 120.0 |",
    ]


def test_measured_figures_name_machine_and_command_and_are_read_back(tmp_path) -> None:
    write_measured(
        tmp_path, "x", machine=this_machine(), command="ellm bench x", page="a table", rows=[1, 2]
    )

    told = read_measured(tmp_path / "x.json")
    assert told["rows"] == [1, 2]
    assert told["machine"]["cores"] >= 1
    page = (tmp_path / "x.md").read_text()
    assert page.startswith("a table\n\n`ellm bench x`; ")
    assert told["machine"]["date"] in page


@pytest.mark.parametrize("content", [None, "{", json.dumps({"rows": []})])
def test_files_that_are_no_measurement_are_refused(tmp_path, content: str | None) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(BadInput, match="expected measured figures"):
        read_measured(path)


def test_work_of_this_process_counts_as_the_clients_and_the_machines() -> None:
    with watching() as busy:
        sum(range(8_000_000))

    assert busy.client > 0
    assert 0 < busy.machine <= 1
    assert busy.seconds > 0


def test_above_seventy_percent_of_all_cpus_times_are_client_limited() -> None:
    assert Busy(machine=0.71).is_client_limited
    assert not Busy(machine=0.70).is_client_limited
