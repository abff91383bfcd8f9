"""The package `zoo` under a name that no other distribution has."""

from zoo import __all__ as __all__
from zoo import __dir__ as __dir__
from zoo import __getattr__ as __getattr__
