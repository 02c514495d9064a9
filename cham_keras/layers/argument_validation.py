"""Checks of constructor arguments: the name, the rule, the value received."""


def positive_integer(value, name):
    """Returns `value` as an int, or raises `ValueError` where it is not 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
    return value


def odd_kernel_size(value, name):
    """Returns `value` as a pair of odd integers.

    Odd, because the states must keep the map's size around the same centre.
    """
    pair = (value, value) if isinstance(value, int) else tuple(value)
    whole = all(isinstance(size, int) and not isinstance(size, bool) for size in pair)
    if len(pair) != 2 or not whole or any(size < 1 or size % 2 == 0 for size in pair):
        raise ValueError(
            f"`{name}` must be an odd positive integer or a pair of them. "
            f"Received: {name}={value!r}"
        )
    return pair


def rate(value, name):
    """Returns `value` where it is at least 0 and below 1."""
    if not 0 <= value < 1:
        raise ValueError(f"`{name}` must be at least 0 and below 1. Received: {name}={value!r}")
    return value


def one_of(value, name, known):
    """Returns `value` where it is one of `known`."""
    if value not in known:
        listed = ", ".join(repr(item) for item in known)
        raise ValueError(f"`{name}` must be one of {listed}. Received: {name}={value!r}")
    return value
