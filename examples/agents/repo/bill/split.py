def split(cents, people):
    """What each of so many people pays of a bill, the larger shares first."""
    if people < 1:
        raise ValueError("a bill is split among at least one person")
    return [cents // people] * people


def split_by_weight(cents, weights):
    """What each person pays of a bill, by weight; what rounding leaves over goes to the largest remainders, the first of equals first."""
    total = sum(weights)
    if total <= 0 or min(weights) < 0:
        raise ValueError("weights are not negative, and at least one is more than 0")
    shares = [cents * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda person: -(cents * weights[person] % total))
    for person in by_remainder[: cents - sum(shares)]:
        shares[person] += 1
    return shares
