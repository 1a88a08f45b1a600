from loadtest.load_report import report
from loadtest.load_run import LoadResult
from loadtest.machine import this_machine
from loadtest.slo import Slo
from tests.loadtest.make_stretches import make_stretch

SLO = Slo(p99_ms=10.0)


def test_the_page_says_that_the_slo_held_and_shows_every_phase_and_kind() -> None:
    result = LoadResult((make_stretch("steady"), make_stretch("swaps")), (), 0)

    page = report(result, SLO, this_machine(), "ellm bench load")

    assert "<strong>Held</strong>" in page
    assert page.count("score 100") == 2
    assert page.count("<tr>") == 3 * (1 + 2)  # phases, stages, kinds
    assert page.count("<td class=word>held</td>") == 2
    assert "https://" not in page


def test_the_page_names_every_fault_and_escapes_what_it_shows() -> None:
    stretch = make_stretch("<b>slow</b>", p99=50.0, client_limited=True)
    result = LoadResult((stretch,), SLO.faults(stretch), 1)

    page = report(result, SLO, this_machine(), "ellm bench load --data '<x>'")

    assert "<strong>Not held</strong>" in page
    assert "p99 50 ms, expected at most 10 ms" in page
    assert "not held, client-limited" in page
    assert "<b>slow" not in page
    assert "<x>" not in page
