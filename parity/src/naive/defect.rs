//! Planted defects: each changes the naive code in one place, so that the gate can be seen to fail.

/// A planted defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// Every f64 word is one unit in the last place too large in magnitude.
    OneUlp,
    /// Windows are `[now - h, now]` and not `(now - h, now]`.
    WrongWindowEdge,
    /// The micro-price weights each price with the quantity of its own side.
    SwappedSide,
    /// A duplicate leaves no flag.
    LostFlag,
    /// Best quantities are kept while both best prices stand.
    StaleTop,
    /// The two forms of an EMA are exchanged.
    EmaForm,
    /// Ties are rounded up and not to even.
    RoundHalfUp,
    /// Averages survive the end of an epoch.
    SkippedReset,
    /// Features are ready one step late.
    WarmupOffByOne,
    /// A changed bit stays until the end of the epoch.
    ChangedMaskSticky,
    /// The cumulative flow survives the end of an epoch.
    CumNotReset,
    /// Bands contain their outer bound.
    BandEdge,
    /// Flow is computed across a gap.
    GapFlows,
    /// Book features stay valid on a frozen book.
    FrozenValid,
    /// Late packets are applied.
    LateAccepted,
    /// Dropped repeats consume frame numbers.
    DroppedCounted,
    /// At a funding time the next funding is now.
    FundingAtBoundary,
    /// Words of invalid features are 0 and not the last valid value.
    HeldZeroed,
    /// Windows are not evicted by packets without book content.
    WindowNeverIdles,
    /// A clear stops before its price.
    ClearExclusive,
    /// Book packets and other packets share one channel for the order of stamps.
    OneChannel,
    /// The window clock follows stamps that go backward.
    ClockBackward,
    /// Frozen books move the anchors of the flow: the chain starts anew after them.
    FrozenAnchors,
    /// A repeat is recognised in spite of another content on feeds without ids.
    StampIsEnough,
    /// Trades are signed by the quotes after their packet.
    SignedByNewQuotes,
    /// Quotes and prices before a gap tell the side of trades after it.
    SignsAcrossGap,
    /// A trade at an unchanged price forgets the direction of the last change.
    FlatTickForgotten,
    /// Buyers and sellers are exchanged.
    AggressorSwapped,
    /// Windows of trades are evicted by trades only.
    TradesNeverDecay,
    /// Windows of a number of steps reach across a gap.
    CountCrossesGap,
    /// Windows of a number of steps hold one more.
    CountOffByOne,
    /// Standard deviations divide by n and not by n - 1.
    PopulationDeviation,
    /// Floats are truncated and not rounded when they enter a window.
    QuantumTruncated,
    /// Windows over columns are evicted at steps only.
    RollingNeverIdles,
    /// Returns, speeds and horizons reach across a gap.
    ReturnsAcrossGap,
    /// Log returns are truncated and not rounded to their units.
    ReturnTruncated,
    /// Horizons move with book packets only.
    HorizonNeverIdles,
    /// Two mids at one time are two times.
    SpeedAtOnce,
    /// Products of changes are divided by the number of changes.
    PairsByCount,
    /// A trade falls whole into the bucket in which it starts.
    SplitLost,
    /// The open bucket counts in the volume of the complete ones.
    OpenBucketCounts,
    /// Inferred sides weigh as much as stated ones.
    ConfidenceIgnored,
    /// A pair of flow and change reaches across a gap.
    PairsAcrossGap,
    /// Two pairs are enough for a slope.
    TwoPairsFit,
    /// The flow is regressed on the change.
    RegressionSwapped,
    /// The surprise is measured against the baseline of the packet before.
    BaselineLags,
    /// A value at the threshold is beyond it.
    ThresholdIncluded,
    /// Below means above.
    SideIgnored,
    /// A zero keeps no sign.
    ZeroHasNoSign,
    /// A sign is kept across a gap.
    SignAcrossGap,
}

impl Defect {
    /// Every defect.
    pub const ALL: &[Self] = &[
        Self::OneUlp,
        Self::WrongWindowEdge,
        Self::SwappedSide,
        Self::LostFlag,
        Self::StaleTop,
        Self::EmaForm,
        Self::RoundHalfUp,
        Self::SkippedReset,
        Self::WarmupOffByOne,
        Self::ChangedMaskSticky,
        Self::CumNotReset,
        Self::BandEdge,
        Self::GapFlows,
        Self::FrozenValid,
        Self::LateAccepted,
        Self::DroppedCounted,
        Self::FundingAtBoundary,
        Self::HeldZeroed,
        Self::WindowNeverIdles,
        Self::ClearExclusive,
        Self::OneChannel,
        Self::ClockBackward,
        Self::FrozenAnchors,
        Self::StampIsEnough,
        Self::SignedByNewQuotes,
        Self::SignsAcrossGap,
        Self::FlatTickForgotten,
        Self::AggressorSwapped,
        Self::TradesNeverDecay,
        Self::CountCrossesGap,
        Self::CountOffByOne,
        Self::PopulationDeviation,
        Self::QuantumTruncated,
        Self::RollingNeverIdles,
        Self::ReturnsAcrossGap,
        Self::ReturnTruncated,
        Self::HorizonNeverIdles,
        Self::SpeedAtOnce,
        Self::PairsByCount,
        Self::SplitLost,
        Self::OpenBucketCounts,
        Self::ConfidenceIgnored,
        Self::PairsAcrossGap,
        Self::TwoPairsFit,
        Self::RegressionSwapped,
        Self::BaselineLags,
        Self::ThresholdIncluded,
        Self::SideIgnored,
        Self::ZeroHasNoSign,
        Self::SignAcrossGap,
    ];

    /// Name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OneUlp => "one_ulp",
            Self::WrongWindowEdge => "wrong_window_edge",
            Self::SwappedSide => "swapped_side",
            Self::LostFlag => "lost_flag",
            Self::StaleTop => "stale_top",
            Self::EmaForm => "ema_form",
            Self::RoundHalfUp => "round_half_up",
            Self::SkippedReset => "skipped_reset",
            Self::WarmupOffByOne => "warmup_off_by_one",
            Self::ChangedMaskSticky => "changed_mask_sticky",
            Self::CumNotReset => "cum_not_reset",
            Self::BandEdge => "band_edge",
            Self::GapFlows => "gap_flows",
            Self::FrozenValid => "frozen_valid",
            Self::LateAccepted => "late_accepted",
            Self::DroppedCounted => "dropped_counted",
            Self::FundingAtBoundary => "funding_at_boundary",
            Self::HeldZeroed => "held_zeroed",
            Self::WindowNeverIdles => "window_never_idles",
            Self::ClearExclusive => "clear_exclusive",
            Self::OneChannel => "one_channel",
            Self::ClockBackward => "clock_backward",
            Self::FrozenAnchors => "frozen_anchors",
            Self::StampIsEnough => "stamp_is_enough",
            Self::SignedByNewQuotes => "signed_by_new_quotes",
            Self::SignsAcrossGap => "signs_across_gap",
            Self::FlatTickForgotten => "flat_tick_forgotten",
            Self::AggressorSwapped => "aggressor_swapped",
            Self::TradesNeverDecay => "trades_never_decay",
            Self::CountCrossesGap => "count_crosses_gap",
            Self::CountOffByOne => "count_off_by_one",
            Self::PopulationDeviation => "population_deviation",
            Self::QuantumTruncated => "quantum_truncated",
            Self::RollingNeverIdles => "rolling_never_idles",
            Self::ReturnsAcrossGap => "returns_across_gap",
            Self::ReturnTruncated => "return_truncated",
            Self::HorizonNeverIdles => "horizon_never_idles",
            Self::SpeedAtOnce => "speed_at_once",
            Self::PairsByCount => "pairs_by_count",
            Self::SplitLost => "split_lost",
            Self::OpenBucketCounts => "open_bucket_counts",
            Self::ConfidenceIgnored => "confidence_ignored",
            Self::PairsAcrossGap => "pairs_across_gap",
            Self::TwoPairsFit => "two_pairs_fit",
            Self::RegressionSwapped => "regression_swapped",
            Self::BaselineLags => "baseline_lags",
            Self::ThresholdIncluded => "threshold_included",
            Self::SideIgnored => "side_ignored",
            Self::ZeroHasNoSign => "zero_has_no_sign",
            Self::SignAcrossGap => "sign_across_gap",
        }
    }
}
