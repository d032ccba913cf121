"""Agreement statistics against R's figures, a published table's figures, hand calculations and simulated coverage.

The R figures come from R 4.2.2 with blandr 0.6.0, epiR 2.0.57, irr 0.84.1, mcr 1.3.3.1 and sandwich 3.0.2:

    x <- c(41.2,55.8,63.1,70.4,88.9,97.3,110.6,126.2,141.7,158.3,176.0,203.5)
    y <- c(38.5,61.0,58.7,81.2,84.1,105.9,101.3,139.8,133.0,171.6,169.4,219.9)
    b <- blandr.statistics(y, x); blandr.statistics(log(y), log(x)); mean(b$proportion); sd(b$proportion)
    lm(b$differences ~ b$means); confint(.)
    epi.ccc(x, y)
    icc(cbind(x, y), "twoway", "agreement", "single")
    m <- mcreg(x, y, method.reg="PaBa", method.ci="analytical"); getCoefficients(m); calcCUSUM(m)
    cor.test(x, y, method="spearman", exact=FALSE)
    epi.ccc(y, x, rep.measure=TRUE, subjectid=c(1,1,1,2,2,3,4,4,4,4,5,5))$sblalt
    vcovCL(lm(b$differences ~ b$means), cluster=., type="HC1")

and the same for the second data below, which has ties, scatter and twelve patients.
"""

import unittest

import numpy as np
from unit.support import AgreementTestCase

from TARECOMETLib.comparison.agreement import agreement, agreement_by, plain
from TARECOMETLib.comparison.bland_altman import bland_altman, limits_from_moments
from TARECOMETLib.comparison.concordance import icc_agreement, lin_ccc, spearman
from TARECOMETLib.comparison.passing_bablok import passing_bablok
from TARECOMETLib.comparison.tolerance import coverage_probability, proportional_bias, total_deviation_index
from TARECOMETLib.errors import InputError

X = np.array([41.2, 55.8, 63.1, 70.4, 88.9, 97.3, 110.6, 126.2, 141.7, 158.3, 176.0, 203.5])
Y = np.array([38.5, 61.0, 58.7, 81.2, 84.1, 105.9, 101.3, 139.8, 133.0, 171.6, 169.4, 219.9])
PATIENTS = [1, 1, 1, 2, 2, 3, 4, 4, 4, 4, 5, 5]
# fmt: off
X2 = [22, 25, 30, 30, 34, 41, 47, 47, 55, 60, 66, 72, 80, 80, 91, 99, 105, 118, 130, 130, 146, 161, 180, 205, 240]
Y2 = [31, 18, 44, 30, 52, 37, 66, 47, 79, 58, 101, 66, 118, 92, 104, 131, 99, 150, 127, 161, 140, 188, 165, 171, 196]
PATIENTS2 = [1, 1, 1, 1, 2, 3, 3, 4, 5, 5, 5, 6, 6, 7, 8, 8, 8, 8, 9, 10, 10, 11, 11, 11, 12]
# fmt: on
# R prints twelve digits; the bar is 1e-6.
BAR = 1e-6


class ReferenceTestCase(AgreementTestCase):
    def assert_figures(self, quantity, package, actual, expected):
        deviation = np.max(np.abs(np.asarray(actual, dtype=float) - np.asarray(expected)))
        self.assert_agrees(quantity, f"R's {package}", deviation, BAR)

    def test_bland_altman_equals_blandr(self) -> None:
        found = bland_altman(X, Y)
        self.assert_figures(
            "Bland-Altman, absolute",
            "blandr",
            [*_three(found.bias), found.sd, *_three(found.lower_limit), *_three(found.upper_limit)],
            [
                2.61666666667,
                -3.50677221789,
                8.74010555122,
                9.63759997786,
                -16.27302928995,
                -27.04635152795,
                -5.49970705195,
                21.50636262328,
                10.73304038528,
                32.27968486128,
            ],
        )

    def test_log_ratio_equals_blandr_on_logarithms(self) -> None:
        found = bland_altman(X, Y, scale="log_ratio")
        self.assert_figures(
            "Bland-Altman, log ratio",
            "blandr",
            [*np.log([*_three(found.bias), *_three(found.lower_limit), *_three(found.upper_limit)]), found.sd],
            [
                0.0160049743582,
                -0.0386811556341,
                0.0706911043505,
                -0.1526917968636,
                -0.2489042865223,
                -0.0564793072048,
                0.1847017455799,
                0.0884892559212,
                0.2809142352387,
                0.0860697812356,
            ],
        )

    def test_per_cent_equals_blandr(self) -> None:
        found = bland_altman(X, Y, scale="percent")
        self.assert_figures("Bland-Altman, %", "blandr", [found.bias.value, found.sd], [1.59742155472, 8.60010337047])

    def test_repeated_measures_equal_epir(self) -> None:
        for x, y, patients, expected in (
            (X, Y, PATIENTS, [2.61666666667, 9.19348501204]),
            (X2, Y2, PATIENTS2, [7.08, 20.9034518938]),
        ):
            found = bland_altman(x, y, patients)
            self.assert_figures("Bland-Altman, several lesions", "epiR", [found.bias.value, found.sd], expected)

    def test_lin_equals_epir(self) -> None:
        found = lin_ccc(X, Y)
        self.assert_figures(
            "Lin's CCC",
            "epiR",
            [*_three(found.ccc), found.scale_shift, found.location_shift, found.bias_correction],
            [0.981963817838, 0.942871985398, 0.994383038989, 1.0618084615382, 0.0518976138705, 0.9968642303457],
        )
        second = _three(lin_ccc(X2, Y2).ccc)
        self.assert_figures("Lin's CCC, ties", "epiR", second, [0.924223817625, 0.84154444047, 0.964592002528])

    def test_icc_equals_irr(self) -> None:
        first, second = _three(icc_agreement(X, Y)), _three(icc_agreement(X2, Y2))
        self.assert_figures("ICC(2,1)", "irr", first, [0.983441946012, 0.945999103530, 0.995144650080])
        self.assert_figures("ICC(2,1), ties", "irr", second, [0.927033700615, 0.839691478392, 0.967371763847])

    def test_passing_bablok_equals_mcr(self) -> None:
        # The third rounds y to tens, so that slopes tie and coincide with 0.
        for x, y, line, cusum in (
            (
                X,
                Y,
                [1.041678938465, 0.918215613383, 1.18499127400, -0.771428515573, -16.028534031414, 8.77881040892],
                1,
            ),
            (
                X2,
                Y2,
                [0.968245840784, 0.818174544439, 1.20960478287, 9.698591502757, -6.288143486176, 20.54651651185],
                2,
            ),
            (
                X[:11],
                np.round(Y[:11], -1),
                [0.974313551816, 0.84033830825, 1.17131260189, -0.141718334810, -13.90982517928, 13.10912239966],
                1,
            ),
        ):
            found = passing_bablok(x, y)
            self.assert_figures(
                "Passing-Bablok", "mcr", [*_three(found.slope), *_three(found.intercept), found.cusum], [*line, cusum]
            )

    def test_spearman_equals_cor_test(self) -> None:
        first, second = spearman(X, Y), spearman(X2, Y2)
        self.assert_figures("Spearman", "stats", [first.rho.value, second.rho.value], [0.972027972028, 0.962271575272])
        self.assertAlmostEqual(first.p_value / 1.28681157515e-07, 1.0, 8)
        self.assertAlmostEqual(second.p_value / 1.69863463902e-14, 1.0, 6)

    def test_proportional_bias_equals_lm_and_sandwich(self) -> None:
        found = proportional_bias(X, Y)
        self.assert_figures(
            "proportional bias",
            "stats",
            [*_three(found.slope), *_three(found.intercept), found.p_value],
            [
                0.0604066322702,
                -0.0617660091111,
                0.182579273652,
                -4.1725354119057,
                -19.2138330271142,
                10.868762203303,
                0.296412582882,
            ],
        )
        # Half widths are Student's t at patients - 1 (2.776445105 for 5 patients, 2.200985160 for 12) times sandwich's.
        for x, y, patients, slope, error, t in (
            (X, Y, PATIENTS, 0.0604066322702, 0.0164983097909, 2.776445105198),
            (X2, Y2, PATIENTS2, -0.104204438467, 0.0885457931405, 2.200985160083),
        ):
            robust = proportional_bias(x, y, patients).slope
            expected = [slope, slope - t * error, slope + t * error]
            self.assert_figures("proportional bias, several lesions", "sandwich", _three(robust), expected)


class PublishedTestCase(unittest.TestCase):
    def test_limits_of_maa_against_pet_mr_are_reproduced(self) -> None:
        # Eur J Radiol 2018, doi:10.1016/j.ejrad.2018.10.015: n = 32, difference 3.4 ± 6.2 Gy, repeatability 12.1 Gy
        # (27.0 % of the mean of 43.0 and 46.5 Gy). 1.96 · 6.2 = 12.152: within the print's rounding of 6.2.
        _, lower, upper = limits_from_moments(3.4, 6.2, 32)
        self.assertAlmostEqual((upper.value - lower.value) / 2.0, 12.1, delta=1.96 * 0.05)
        self.assertAlmostEqual(100.0 * (upper.value - 3.4) / 44.75, 27.0, delta=100.0 * 1.96 * 0.05 / 44.75)
        self.assertAlmostEqual(lower.value, -8.752, 9)
        self.assertAlmostEqual(upper.value, 15.552, 9)


class RuleTestCase(unittest.TestCase):
    def test_exchanging_the_sides_inverts_passing_bablok(self) -> None:
        there, back = passing_bablok(X2, Y2), passing_bablok(Y2, X2)
        self.assertAlmostEqual(there.slope.value * back.slope.value, 1.0, 12)
        self.assertAlmostEqual(there.slope.lower * back.slope.upper, 1.0, 12)

    def test_a_curve_fails_the_linearity_test_and_a_noisy_line_passes(self) -> None:
        x = np.arange(1.0, 41.0)
        curve = passing_bablok(x, x**2)
        # Signs along the line by hand: a run of points above, one below, one above. The longest run below decides.
        line = curve.intercept.value + curve.slope.value * x
        above, below = int((x**2 > line).sum()), int((x**2 < line).sum())
        first = int(np.argmax(x**2 < line))
        run = abs(first * np.sqrt(below / above) - below * np.sqrt(above / below))
        self.assertAlmostEqual(curve.cusum, max(run, first * np.sqrt(below / above)), 9)
        self.assertLess(curve.linearity_p_value, 0.01)
        noisy = passing_bablok(x, 3.0 * x + np.random.default_rng(5).normal(0.0, 2.0, x.size))
        self.assertGreater(noisy.linearity_p_value, 0.05)

    def test_interval_of_a_tiny_sample_is_absent_not_infinite(self) -> None:
        found = passing_bablok([1.0, 2.0, 3.0], [1.0, 2.5, 2.9])
        self.assertIsNone(found.slope.lower)
        self.assertNotIn("lower", plain(found)["slope"])

    def test_tolerance_of_unbiased_differences_is_the_normal_quantile(self) -> None:
        # Differences ±1 alternating: mean 0, SD sqrt(10/9). 1.644853627 is the normal quantile of 0.95.
        x = np.arange(10.0) + 5.0
        y = x + np.array([1.0, -1.0] * 5)
        sd = np.sqrt(10.0 / 9.0)
        self.assertAlmostEqual(total_deviation_index(x, y, 0.9), 1.644853626951 * sd, 9)
        self.assertAlmostEqual(coverage_probability(x, y, 1.644853626951 * sd), 0.9, 9)

    def test_tolerance_with_bias_holds_its_share_of_simulated_differences(self) -> None:
        # 400,000 normal differences with the same mean and SD: the standard error of a share is below 0.0008.
        x = np.arange(10.0) + 5.0
        y = x + 2.0 + np.array([1.0, -1.0] * 5)
        bound = total_deviation_index(x, y, 0.8)
        drawn = np.random.default_rng(1).normal(2.0, np.sqrt(10.0 / 9.0), 400_000)
        self.assertAlmostEqual(float(np.mean(np.abs(drawn) <= bound)), 0.8, delta=0.003)
        self.assertAlmostEqual(coverage_probability(x, y, 2.5), float(np.mean(np.abs(drawn) <= 2.5)), delta=0.003)

    def test_intervals_with_several_lesions_cover_the_truth(self) -> None:
        # Differences of 15 patients with 1 to 6 lesions, mean 2, SD between 4, within 3: limit 2 + 1.96·5 = 11.8.
        rng = np.random.default_rng(8)
        patients = np.repeat(np.arange(15), rng.integers(1, 7, 15))
        runs, covered = 600, np.zeros(3)
        naive = 0
        for _ in range(runs):
            difference = 2.0 + rng.normal(0.0, 4.0, 15)[patients] + rng.normal(0.0, 3.0, patients.size)
            x = np.full(patients.size, 100.0)
            found = bland_altman(x, x + difference, patients)
            alone = bland_altman(x, x + difference)
            for n, (figure, truth) in enumerate(
                ((found.bias, 2.0), (found.lower_limit, -7.8), (found.upper_limit, 11.8))
            ):
                covered[n] += figure.lower <= truth <= figure.upper
            naive += alone.bias.lower <= 2.0 <= alone.bias.upper
        # Nominal 0.95; the standard error of a share of 600 is 0.009, and the intervals are approximate.
        for share in covered / runs:
            self.assertGreater(share, 0.92)
            self.assertLess(share, 0.99)
        # Lesions taken as independent: far too sure.
        self.assertLess(naive / runs, 0.85)

    def test_each_group_gets_its_own_figures(self) -> None:
        found = agreement_by(["small"] * 6 + ["large"] * 6, X, Y, within=[10.0])
        self.assertEqual(list(found), ["small", "large"])
        self.assertEqual(found["large"].bland_altman["absolute"], bland_altman(X[6:], Y[6:]))
        self.assertAlmostEqual(found["small"].coverage_probability["10"], coverage_probability(X[:6], Y[:6], 10.0))

    def test_patients_with_several_lesions_are_resampled_whole(self) -> None:
        # Ten equal copies of each lesion say nothing new: the interval must not shrink as it does for lesions alone.
        x, y, patients = np.repeat(X2, 10), np.repeat(Y2, 10), np.repeat(np.arange(len(X2)), 10)
        whole = agreement(x, y, patients, resamples=400)
        alone = lin_ccc(X2, Y2).ccc
        self.assertTrue(whole.intervals_by_patient)
        width = whole.concordance.ccc.upper - whole.concordance.ccc.lower
        self.assertGreater(width, 0.6 * (alone.upper - alone.lower))
        shrunk = lin_ccc(x, y).ccc
        self.assertGreater(width, 1.8 * (shrunk.upper - shrunk.lower))


class RefusalTestCase(unittest.TestCase):
    def assert_refused(self, code, work, *words):
        with self.assertRaises(InputError) as caught:
            work()
        self.assertEqual(caught.exception.code, code)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_one_lesion_has_no_limits_of_agreement_and_two_have(self) -> None:
        self.assert_refused("too-few-pairs", lambda: bland_altman([50.0], [60.0]), "limits of agreement", "one pair")
        self.assertEqual(bland_altman([50.0, 60.0], [60.0, 65.0]).pairs, 2)
        found = agreement([50.0], [60.0])
        self.assertEqual(found.bland_altman, {})
        self.assertIn("limits of agreement", found.not_computed["bland_altman.absolute"])
        document = plain(found)
        self.assertNotIn("concordance", document)
        self.assertNotIn("bland_altman", document)

    def test_constant_data_have_no_correlation_and_nearly_constant_ones_have(self) -> None:
        constant, other = [40.0] * 6, [38.0, 41.0, 40.0, 43.0, 39.0, 42.0]
        for work in (lin_ccc, icc_agreement, spearman, passing_bablok):
            self.assert_refused("constant", lambda work=work: work(constant, other), "all 6 predicted values are 40")
            work([39.0, 40.0, 40.0, 41.0, 40.0, 40.5], other)
        found = agreement(constant, constant)
        self.assertEqual(found.bland_altman["absolute"].sd, 0.0)
        for name in ("concordance", "icc", "passing_bablok", "spearman"):
            self.assertIn("all 6", found.not_computed[name])

    def test_one_patient_with_several_lesions_says_so(self) -> None:
        self.assert_refused("one-patient", lambda: bland_altman(X, Y, ["p1"] * 12), "one patient")
        self.assertEqual(bland_altman(X, Y, ["p1"] * 11 + ["p2"]).patients, 2)
        self.assertEqual(agreement(X, Y, ["p1"] * 12).patients, 1)

    def test_values_that_are_no_pairs_are_refused(self) -> None:
        self.assert_refused("pairs-differ", lambda: agreement([1.0, 2.0], [1.0]), "2 predicted and 1 delivered")
        self.assert_refused("not-finite", lambda: agreement([1.0, np.nan], [1.0, 2.0]), "finite")

    def test_a_dose_of_zero_has_no_ratio(self) -> None:
        self.assert_refused("not-positive", lambda: bland_altman([0.0, 2.0], [1.0, 2.0], scale="log_ratio"), "ratio")
        self.assertEqual(bland_altman([1e-3, 2.0], [1.0, 2.0], scale="log_ratio").pairs, 2)
        self.assertIn("absolute", agreement([0.0, 2.0, 3.0], [1.0, 2.0, 3.0]).bland_altman)

    def test_perfect_agreement_is_one(self) -> None:
        self.assertEqual(lin_ccc(X, X).ccc.value, 1.0)
        self.assertAlmostEqual(icc_agreement(X, X).value, 1.0, 12)
        found = passing_bablok(X, X)
        self.assertAlmostEqual(found.slope.value, 1.0, 12)
        self.assertAlmostEqual(found.intercept.value, 0.0, 9)

    def test_doses_that_fall_as_others_rise_have_no_line(self) -> None:
        self.assert_refused("no-correlation", lambda: passing_bablok(X, Y[::-1]), "does not rise")


def _three(figure):
    return [figure.value, figure.lower, figure.upper]


if __name__ == "__main__":
    unittest.main()
