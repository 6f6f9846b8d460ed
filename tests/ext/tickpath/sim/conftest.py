"""The reference of margin counts with more digits than Decimal does by itself; no other test must see that."""
from decimal import localcontext

import pytest
from margin_reference import PRECISION


@pytest.fixture(autouse=True)
def digits_of_the_margin_reference(request):
    if "margin" not in request.node.path.name:
        yield
        return
    with localcontext() as context:
        context.prec = PRECISION
        yield
