"""What proves smtp_pair: scenarios (a client's behaviour to a destination), as parameterised cases, and benchmarks.

It is not in the wheel: a project's own ``tests/harness`` must not be shadowed. What a user's tests need lives in
``smtp_pair``.
"""
