import unittest

from bill import split, split_by_weight


class Split(unittest.TestCase):
    def test_an_even_bill_is_split_evenly(self):
        self.assertEqual(split(900, 3), [300, 300, 300])

    def test_no_cent_is_lost(self):
        self.assertEqual(split(1000, 3), [334, 333, 333])
        self.assertEqual(split(5, 4), [2, 1, 1, 1])

    def test_nobody_cannot_pay(self):
        with self.assertRaises(ValueError):
            split(1000, 0)


class SplitByWeight(unittest.TestCase):
    def test_remainders_decide_who_pays_the_cents_left_over(self):
        self.assertEqual(split_by_weight(1000, [1, 1, 1]), [334, 333, 333])
        self.assertEqual(split_by_weight(100, [5, 3, 1]), [56, 33, 11])
