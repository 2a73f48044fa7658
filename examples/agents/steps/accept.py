"""Takes the review from standard input and does what its last line says. A review without a verdict accepts nothing."""

import sys


def main():
    review = sys.stdin.read().strip()
    print(review)
    verdict = review.rsplit("\n", 1)[-1].strip(" .*`").upper()
    if verdict == "REJECTED":
        sys.exit("accept.py: the reviewer rejected the change")
    if verdict != "APPROVED":
        sys.exit("accept.py: the last line of the review is neither APPROVED nor REJECTED")


if __name__ == "__main__":
    main()
