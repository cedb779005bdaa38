//! What the codes of each provider mean: one table for all, and one for each provider whose words
//! mean something else.

use crate::limits;
use crate::reason::Reason;
use crate::signals::{KnownCode, Reach, code, code_about, spent_window};

/// The words of OpenAI, Anthropic, GitHub Copilot and Google. Each means one thing.
pub(crate) const COMMON: &[KnownCode] = &[
    code("insufficient_quota", Reason::OutOfCredit),
    code("credit_balance_exhausted", Reason::OutOfCredit),
    code("billing_not_active", Reason::OutOfCredit),
    code("billing_hard_limit_reached", Reason::OutOfCredit),
    code("billing_error", Reason::OutOfCredit),
    code("enforced_spend_limit_reached", Reason::OutOfCredit),
    code("contract_spend_limit_reached", Reason::OutOfCredit),
    code(
        "linked_organization_spend_limit_reached",
        Reason::OutOfCredit,
    ),
    code("credits_required", Reason::OutOfCredit),
    // More than the plan has in it is asked of it by this request: a shorter one is served.
    code_about(
        "long_context_credits_required",
        Reason::ClientError,
        Reach::Request,
    ),
    code("organization_on_hold", Reason::OutOfCredit),
    code("billing_config_error", Reason::OutOfCredit),
    code("billing_not_configured", Reason::OutOfCredit),
    code("additional_spend_limit_reached", Reason::OutOfCredit),
    code("session_quota_exceeded", Reason::QuotaExhausted),
    code_about(
        "subscription_sharing_usage_unavailable",
        Reason::RateLimited,
        Reach::Account,
    ),
    code_about(
        "subscription_sharing_user_not_eligible",
        Reason::NotEntitled,
        Reach::Account,
    ),
    code("subscription_sharing_invalid_user", Reason::NeedsLogin),
    code("usage_limit_reached", Reason::QuotaExhausted),
    code("quota_exceeded", Reason::QuotaExhausted),
    code(
        "subscription_sharing_usage_limit_exceeded",
        Reason::QuotaExhausted,
    ),
    spent_window("user_weekly_rate_limited", limits::WEEKLY_LONGEST),
    code_about(
        "user_global_rate_limited",
        Reason::RateLimited,
        Reach::Account,
    ),
    code("free_quota_exceeded", Reason::QuotaExhausted),
    code("overage_limit_reached", Reason::OutOfCredit),
    code_about(
        "agent_mode_limit_exceeded",
        Reason::RateLimited,
        Reach::Account,
    ),
    code("model_overloaded", Reason::Overloaded),
    code_about("user_model_rate_limited", Reason::RateLimited, Reach::Model),
    code_about(
        "integration_rate_limited",
        Reason::RateLimited,
        Reach::Egress,
    ),
    code("rate_limit_exceeded", Reason::RateLimited),
    code("rate_limit_error", Reason::RateLimited),
    code("rate_limited", Reason::RateLimited),
    code("ramp_limit_exceeded", Reason::RateLimited),
    code("overloaded_error", Reason::Overloaded),
    code("server_is_overloaded", Reason::Overloaded),
    code("slow_down", Reason::Overloaded),
    code("server_error", Reason::ServerError),
    code("api_error", Reason::ServerError),
    code("invalid_api_key", Reason::TokenExpired),
    code("invalid_token", Reason::TokenExpired),
    code("token_expired", Reason::TokenExpired),
    code("authentication_error", Reason::TokenExpired),
    code("permission_error", Reason::Forbidden),
    // Where the request comes from, or what it says, is the same for every account.
    code_about(
        "unsupported_country_region_territory",
        Reason::Forbidden,
        Reach::Request,
    ),
    code_about(
        "content_policy_violation",
        Reason::ClientError,
        Reach::Request,
    ),
    code_about("content_filter", Reason::ClientError, Reach::Request),
    code_about("moderation_blocked", Reason::ClientError, Reach::Request),
    code_about("invalid_prompt", Reason::ClientError, Reach::Request),
    code_about(
        "ResponsibleAIPolicyViolation",
        Reason::ClientError,
        Reach::Request,
    ),
    code("verification_required", Reason::NeedsVerification),
    code("account_deactivated", Reason::BlockedByProvider),
    code("account_disabled", Reason::BlockedByProvider),
    code("account_suspended", Reason::BlockedByProvider),
    code("model_not_found", Reason::NotEntitled),
    code("model_not_supported", Reason::NotEntitled),
    code("model_not_available", Reason::NotEntitled),
    code("usage_not_included", Reason::NotEntitled),
    code("invalid_request_error", Reason::ClientError),
    // The reasons of a google.rpc.ErrorInfo.
    code("RATE_LIMIT_EXCEEDED", Reason::RateLimited),
    code("QUOTA_EXHAUSTED", Reason::QuotaExhausted),
    code("QUOTA_EXCEEDED", Reason::QuotaExhausted),
    code("MODEL_CAPACITY_EXHAUSTED", Reason::Overloaded),
    code("INSUFFICIENT_G1_CREDITS_BALANCE", Reason::OutOfCredit),
    code("BILLING_DISABLED", Reason::OutOfCredit),
    code("API_KEY_INVALID", Reason::TokenExpired),
    code("ACCESS_TOKEN_EXPIRED", Reason::TokenExpired),
    code("VALIDATION_REQUIRED", Reason::NeedsVerification),
    code("CONSUMER_SUSPENDED", Reason::BlockedByProvider),
    code("SERVICE_DISABLED", Reason::NotEntitled),
    // Its canonical status names; a 499 is a service that gave up.
    code("RESOURCE_EXHAUSTED", Reason::RateLimited),
    code("UNAUTHENTICATED", Reason::TokenExpired),
    code("PERMISSION_DENIED", Reason::Forbidden),
    code("UNAVAILABLE", Reason::Overloaded),
    code("CANCELLED", Reason::Overloaded),
    code("INVALID_ARGUMENT", Reason::ClientError),
];

/// Model Studio's own words beside those of OpenAI's shape. Its daily allowance goes by OpenAI's
/// word for no credit.
pub(crate) const QWEN: &[KnownCode] = &[
    spent_window("insufficient_quota", limits::DAILY_LONGEST),
    code("Throttling", Reason::RateLimited),
    code("Throttling.RateQuota", Reason::RateLimited),
    code("Throttling.AllocationQuota", Reason::RateLimited),
    code("limit_requests", Reason::RateLimited),
    code_about("DataInspectionFailed", Reason::ClientError, Reach::Request),
    code_about(
        "data_inspection_failed",
        Reason::ClientError,
        Reach::Request,
    ),
    code("Arrearage", Reason::OutOfCredit),
    code("InvalidApiKey", Reason::TokenExpired),
];

/// Codes of the Connect protocol.
pub(crate) const CURSOR: &[KnownCode] = &[
    code("unauthenticated", Reason::TokenExpired),
    code("permission_denied", Reason::Forbidden),
    code("resource_exhausted", Reason::RateLimited),
    code("unavailable", Reason::Overloaded),
    code("internal", Reason::ServerError),
];

/// Codes of Oracle's services.
pub(crate) const OCI: &[KnownCode] = &[
    code("TooManyRequests", Reason::RateLimited),
    code("NotAuthenticated", Reason::TokenExpired),
    code("QuotaExceeded", Reason::QuotaExhausted),
    code("LimitExceeded", Reason::QuotaExhausted),
    code("InternalServerError", Reason::ServerError),
];
