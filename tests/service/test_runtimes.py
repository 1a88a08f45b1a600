"""Two distributions that own one module are refused, with the command that repairs it."""

import pytest

from relevance.errors import Unavailable
from service.runtimes import RIVALS, check_runtimes


@pytest.mark.parametrize("rivals", RIVALS)
def test_two_owners_of_one_module_are_refused_and_either_alone_is_fine(rivals) -> None:
    with pytest.raises(Unavailable, match=f"pip uninstall -y {' '.join(rivals)} && pip install"):
        check_runtimes(lambda distribution: distribution in rivals)

    for one in rivals:
        check_runtimes(lambda distribution, one=one: distribution == one)
