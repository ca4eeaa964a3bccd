//! A bot with features.

use feature_runtime::{FeatureValue, FrameSink, Subscription};
use hftbacktest::backtest::BacktestError;
use hftbacktest::depth::MarketDepth;
use hftbacktest::types::{
    Bot, ElapseResult, Event, OrdType, Order, OrderId, OrderRequest, StateValues, TimeInForce,
};

use crate::error::Error;
use crate::features::{AssetView, Features};
use crate::tap::backtest_error;

/// A backtest whose strategy can ask for features; everything else is delegated.
///
/// Whenever the strategy gets control, the features hold everything up to the current time: also after
/// `elapse`, and at the end of the data, where hftbacktest reports the last packet as `EndOfData`.
pub struct FeatureBot<B> {
    inner: B,
    features: Features,
}

impl<B> FeatureBot<B> {
    /// Joins a backtest with the features that its assets were attached to.
    ///
    /// # Errors
    ///
    /// [`Error::AssetCount`] when an asset was added without being attached, or the other way round.
    pub fn new<MD>(inner: B, features: Features) -> Result<Self, Error>
    where
        MD: MarketDepth,
        B: Bot<MD>,
    {
        let backtest = inner.num_assets();
        match features.num_assets() {
            Some(attached) if attached != backtest => Err(Error::AssetCount { backtest, attached }),
            _ => Ok(Self { inner, features }),
        }
    }

    /// The features of all assets.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Value of a feature by name; `None` before the first frame and where it is not defined.
    ///
    /// # Errors
    ///
    /// As [`Features::get_feature`].
    pub fn get_feature(&self, asset: usize, name: &str) -> Result<Option<FeatureValue>, Error> {
        self.features.get_feature(asset, name)
    }

    /// Value of a feature by its index in the set.
    ///
    /// # Errors
    ///
    /// As [`Features::get_feature`].
    #[inline]
    pub fn get_feature_by_id(
        &self,
        asset: usize,
        feature_id: usize,
    ) -> Result<Option<FeatureValue>, Error> {
        self.features.get_feature_by_id(asset, feature_id)
    }

    /// The last frame of an asset; `None` before the first one of the epoch.
    ///
    /// # Errors
    ///
    /// As [`Features::get_feature`].
    pub fn feature_view(&self, asset: usize) -> Result<Option<AssetView<'_>>, Error> {
        self.features.feature_view(asset)
    }

    /// Calls `sink` as frames are made; see [`Features::on_features`].
    ///
    /// # Errors
    ///
    /// As [`Features::on_features`].
    pub fn on_features(
        &self,
        features: &[&str],
        sink: impl FrameSink + 'static,
    ) -> Result<Subscription, Error> {
        self.features.on_features(features, sink)
    }

    #[inline]
    fn current(&self, result: ElapseResult) -> Result<ElapseResult, BacktestError> {
        self.features.commit().map_err(backtest_error)?;
        Ok(result)
    }
}

impl<MD, B> Bot<MD> for FeatureBot<B>
where
    MD: MarketDepth,
    B: Bot<MD, Error = BacktestError>,
{
    type Error = BacktestError;

    fn current_timestamp(&self) -> i64 {
        self.inner.current_timestamp()
    }

    fn num_assets(&self) -> usize {
        self.inner.num_assets()
    }

    fn position(&self, asset_no: usize) -> f64 {
        self.inner.position(asset_no)
    }

    fn state_values(&self, asset_no: usize) -> &StateValues {
        self.inner.state_values(asset_no)
    }

    fn depth(&self, asset_no: usize) -> &MD {
        self.inner.depth(asset_no)
    }

    fn last_trades(&self, asset_no: usize) -> &[Event] {
        self.inner.last_trades(asset_no)
    }

    fn clear_last_trades(&mut self, asset_no: Option<usize>) {
        self.inner.clear_last_trades(asset_no);
    }

    #[allow(clippy::disallowed_types, reason = "the type that hftbacktest hands out")]
    fn orders(&self, asset_no: usize) -> &std::collections::HashMap<OrderId, Order> {
        self.inner.orders(asset_no)
    }

    fn submit_buy_order(
        &mut self,
        asset_no: usize,
        order_id: OrderId,
        price: f64,
        qty: f64,
        time_in_force: TimeInForce,
        order_type: OrdType,
        wait: bool,
    ) -> Result<ElapseResult, BacktestError> {
        let inner = &mut self.inner;
        let result = inner.submit_buy_order(
            asset_no,
            order_id,
            price,
            qty,
            time_in_force,
            order_type,
            wait,
        )?;
        self.current(result)
    }

    fn submit_sell_order(
        &mut self,
        asset_no: usize,
        order_id: OrderId,
        price: f64,
        qty: f64,
        time_in_force: TimeInForce,
        order_type: OrdType,
        wait: bool,
    ) -> Result<ElapseResult, BacktestError> {
        let inner = &mut self.inner;
        let result = inner.submit_sell_order(
            asset_no,
            order_id,
            price,
            qty,
            time_in_force,
            order_type,
            wait,
        )?;
        self.current(result)
    }

    fn submit_order(
        &mut self,
        asset_no: usize,
        order: OrderRequest,
        wait: bool,
    ) -> Result<ElapseResult, BacktestError> {
        let result = self.inner.submit_order(asset_no, order, wait)?;
        self.current(result)
    }

    fn modify(
        &mut self,
        asset_no: usize,
        order_id: OrderId,
        price: f64,
        qty: f64,
        wait: bool,
    ) -> Result<ElapseResult, BacktestError> {
        let result = self.inner.modify(asset_no, order_id, price, qty, wait)?;
        self.current(result)
    }

    fn cancel(
        &mut self,
        asset_no: usize,
        order_id: OrderId,
        wait: bool,
    ) -> Result<ElapseResult, BacktestError> {
        let result = self.inner.cancel(asset_no, order_id, wait)?;
        self.current(result)
    }

    fn clear_inactive_orders(&mut self, asset_no: Option<usize>) {
        self.inner.clear_inactive_orders(asset_no);
    }

    fn wait_order_response(
        &mut self,
        asset_no: usize,
        order_id: OrderId,
        timeout: i64,
    ) -> Result<ElapseResult, BacktestError> {
        let result = self.inner.wait_order_response(asset_no, order_id, timeout)?;
        self.current(result)
    }

    fn wait_next_feed(
        &mut self,
        include_order_resp: bool,
        timeout: i64,
    ) -> Result<ElapseResult, BacktestError> {
        let result = self.inner.wait_next_feed(include_order_resp, timeout)?;
        self.current(result)
    }

    fn elapse(&mut self, duration: i64) -> Result<ElapseResult, BacktestError> {
        let result = self.inner.elapse(duration)?;
        self.current(result)
    }

    fn elapse_bt(&mut self, duration: i64) -> Result<ElapseResult, BacktestError> {
        let result = self.inner.elapse_bt(duration)?;
        self.current(result)
    }

    fn close(&mut self) -> Result<(), BacktestError> {
        self.inner.close()
    }

    fn feed_latency(&self, asset_no: usize) -> Option<(i64, i64)> {
        self.inner.feed_latency(asset_no)
    }

    fn order_latency(&self, asset_no: usize) -> Option<(i64, i64, i64)> {
        self.inner.order_latency(asset_no)
    }
}
