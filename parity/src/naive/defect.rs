//! Planted defects: each changes the naive code in one place, so that the gate can be seen to fail.

macro_rules! defects {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal,)+) => {
        /// A planted defect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Defect {
            $($(#[$doc])+ $variant,)+
        }

        impl Defect {
            /// Every defect.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Name in reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

defects! {
    /// Every f64 word is one unit in the last place too large in magnitude.
    OneUlp = "one_ulp",
    /// Windows are `[now - h, now]` and not `(now - h, now]`.
    WrongWindowEdge = "wrong_window_edge",
    /// The micro-price weights each price with the quantity of its own side.
    SwappedSide = "swapped_side",
    /// A duplicate leaves no flag.
    LostFlag = "lost_flag",
    /// Best quantities are kept while both best prices stand.
    StaleTop = "stale_top",
    /// The two forms of an EMA are exchanged.
    EmaForm = "ema_form",
    /// Ties are rounded up and not to even.
    RoundHalfUp = "round_half_up",
    /// Averages survive the end of an epoch.
    SkippedReset = "skipped_reset",
    /// Features are ready one step late.
    WarmupOffByOne = "warmup_off_by_one",
    /// A changed bit stays until the end of the epoch.
    ChangedMaskSticky = "changed_mask_sticky",
    /// The cumulative flow survives the end of an epoch.
    CumNotReset = "cum_not_reset",
    /// Bands contain their outer bound.
    BandEdge = "band_edge",
    /// Flow is computed across a gap.
    GapFlows = "gap_flows",
    /// Book features stay valid on a frozen book.
    FrozenValid = "frozen_valid",
    /// Late packets are applied.
    LateAccepted = "late_accepted",
    /// Dropped repeats consume frame numbers.
    DroppedCounted = "dropped_counted",
    /// At a funding time the next funding is now.
    FundingAtBoundary = "funding_at_boundary",
    /// Words of invalid features are 0 and not the last valid value.
    HeldZeroed = "held_zeroed",
    /// Windows are not evicted by packets without book content.
    WindowNeverIdles = "window_never_idles",
    /// A clear stops before its price.
    ClearExclusive = "clear_exclusive",
    /// Book packets and other packets share one channel for the order of stamps.
    OneChannel = "one_channel",
    /// The window clock follows stamps that go backward.
    ClockBackward = "clock_backward",
    /// Frozen books move the anchors of the flow: the chain starts anew after them.
    FrozenAnchors = "frozen_anchors",
    /// A repeat is recognised in spite of another content on feeds without ids.
    StampIsEnough = "stamp_is_enough",
    /// A level that comes into view, or leaves it, is flow.
    MlViewIsFlow = "ml_view_is_flow",
    /// Levels are matched by number where they should be by price.
    MlByNumber = "ml_by_number",
    /// The best level is decayed too.
    MlDecaysAtBest = "ml_decays_at_best",
    /// Flow is divided by the depth of both sides and not by the average.
    NormByWholeDepth = "norm_by_whole_depth",
    /// The average best quantity is rounded up.
    NormDepthRoundedUp = "norm_depth_rounded_up",
    /// The averaged flow takes a step of 0 in a gap.
    NormGapIsZero = "norm_gap_is_zero",
    /// Half of the depth must be exceeded, not reached.
    ShapeHalfExceeded = "shape_half_exceeded",
    /// A line through two levels is good enough for least squares.
    ShapeTwoLevels = "shape_two_levels",
    /// A side with too few levels has a slope over what there is.
    ShapeShortSlope = "shape_short_slope",
    /// Levels beyond the cutoff count.
    WeightedUncut = "weighted_uncut",
    /// Terms are added from the worst level inwards.
    WeightedWorstFirst = "weighted_worst_first",
    /// Notional is divided by the unit of quantity alone.
    WeightedUnit = "weighted_unit",
    /// A spread at the bound is not tight any more.
    TightIsBelow = "tight_is_below",
    /// The current spread is ranked among itself too.
    RankOfItself = "rank_of_itself",
    /// Tight time is divided by the window even before it is covered.
    TightOfWholeWindow = "tight_of_whole_window",
    /// A tight spread before a gap has been tight in it.
    TightAcrossGap = "tight_across_gap",
    /// Best prices that stand after a gap have stood all along.
    SurvivesGap = "survives_gap",
    /// Depth momentum steps when a best price moved.
    MomentumThaws = "momentum_thaws",
    /// The best level belongs to the depth behind it.
    MomentumWithBest = "momentum_with_best",
    /// The deployed momentum is not clipped.
    MomentumUnclipped = "momentum_unclipped",
    /// Changes on the other side of the new mid do not count.
    FlowBehindMidOnly = "flow_behind_mid_only",
    /// What a frozen packet changed is lost.
    FlowForgetsFrozen = "flow_forgets_frozen",
    /// The decayed flow fades on book packets only.
    FlowFadesOnBook = "flow_fades_on_book",
    /// Columns of orders are 0 where there are no orders.
    OrdersAreZero = "orders_are_zero",
    /// A level is taken for one order.
    OrdersAreLevels = "orders_are_levels",
    /// A quantity is taken for a number of orders.
    OrdersAreLots = "orders_are_lots",
    /// An execution of a part removes the whole order.
    PartialFillRemoves = "partial_fill_removes",
    /// An order that is reduced goes to the end of its queue.
    ReducedLosesPlace = "reduced_loses_place",
    /// An order that grows keeps its place.
    ReplacedKeepsPlace = "replaced_keeps_place",
    /// Executions count as withdrawals, and the other way round.
    FillsAreCancels = "fills_are_cancels",
    /// The orders of a snapshot have entered with it.
    SnapshotIsOrderFlow = "snapshot_is_order_flow",
    /// What happened to orders before the first frame is flow of the first frame.
    FirstOrdersFlow = "first_orders_flow",
    /// What a frozen packet did to orders is lost.
    OrderFlowForgetsFrozen = "order_flow_forgets_frozen",
    /// Windows of order flow are evicted by book packets only.
    OrderWindowsRest = "order_windows_rest",
    /// Mean ages are truncated and not rounded.
    AgeTruncated = "age_truncated",
    /// An unknown order leaves no flag.
    ContradictionUnseen = "contradiction_unseen",
    /// Trades are signed by the quotes after their packet.
    SignedByNewQuotes = "signed_by_new_quotes",
    /// Quotes and prices before a gap tell the side of trades after it.
    SignsAcrossGap = "signs_across_gap",
    /// A trade at an unchanged price forgets the direction of the last change.
    FlatTickForgotten = "flat_tick_forgotten",
    /// Buyers and sellers are exchanged.
    AggressorSwapped = "aggressor_swapped",
    /// Windows of trades are evicted by trades only.
    TradesNeverDecay = "trades_never_decay",
    /// Windows of a number of steps reach across a gap.
    CountCrossesGap = "count_crosses_gap",
    /// Windows of a number of steps hold one more.
    CountOffByOne = "count_off_by_one",
    /// Standard deviations divide by n and not by n - 1.
    PopulationDeviation = "population_deviation",
    /// Floats are truncated and not rounded when they enter a window.
    QuantumTruncated = "quantum_truncated",
    /// Windows over columns are evicted at steps only.
    RollingNeverIdles = "rolling_never_idles",
    /// Returns, speeds and horizons reach across a gap.
    ReturnsAcrossGap = "returns_across_gap",
    /// Log returns are truncated and not rounded to their units.
    ReturnTruncated = "return_truncated",
    /// Horizons move with book packets only.
    HorizonNeverIdles = "horizon_never_idles",
    /// Two mids at one time are two times.
    SpeedAtOnce = "speed_at_once",
    /// Products of changes are divided by the number of changes.
    PairsByCount = "pairs_by_count",
    /// A trade falls whole into the bucket in which it starts.
    SplitLost = "split_lost",
    /// The open bucket counts in the volume of the complete ones.
    OpenBucketCounts = "open_bucket_counts",
    /// Inferred sides weigh as much as stated ones.
    ConfidenceIgnored = "confidence_ignored",
    /// A pair of flow and change reaches across a gap.
    PairsAcrossGap = "pairs_across_gap",
    /// Two pairs are enough for a slope.
    TwoPairsFit = "two_pairs_fit",
    /// The flow is regressed on the change.
    RegressionSwapped = "regression_swapped",
    /// The surprise is measured against the baseline of the packet before.
    BaselineLags = "baseline_lags",
    /// A value at the threshold is beyond it.
    ThresholdIncluded = "threshold_included",
    /// Below means above.
    SideIgnored = "side_ignored",
    /// A zero keeps no sign.
    ZeroHasNoSign = "zero_has_no_sign",
    /// A sign is kept across a gap.
    SignAcrossGap = "sign_across_gap",
}
