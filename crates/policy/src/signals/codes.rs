//! What the codes of each provider mean: one table for all, and one for each provider whose words mean something else.

use crate::limits;
use crate::reason::Reason;
use crate::signals::{Mark, Reach, mark, reaching, spent};

/// The words of OpenAI, Anthropic, GitHub Copilot and Google. None of them means two things.
pub(crate) const COMMON: &[Mark] = &[
    mark("insufficient_quota", Reason::OutOfCredit),
    mark("credit_balance_exhausted", Reason::OutOfCredit),
    mark("billing_not_active", Reason::OutOfCredit),
    mark("billing_hard_limit_reached", Reason::OutOfCredit),
    mark("billing_error", Reason::OutOfCredit),
    mark("enforced_spend_limit_reached", Reason::OutOfCredit),
    mark("contract_spend_limit_reached", Reason::OutOfCredit),
    mark(
        "linked_organization_spend_limit_reached",
        Reason::OutOfCredit,
    ),
    mark("credits_required", Reason::OutOfCredit),
    // More than the plan has in it is asked of it by this request: a shorter one is served.
    reaching(
        "long_context_credits_required",
        Reason::ClientError,
        Reach::Request,
    ),
    mark("organization_on_hold", Reason::OutOfCredit),
    mark("billing_config_error", Reason::OutOfCredit),
    mark("billing_not_configured", Reason::OutOfCredit),
    mark("additional_spend_limit_reached", Reason::OutOfCredit),
    mark("session_quota_exceeded", Reason::QuotaExhausted),
    reaching(
        "subscription_sharing_usage_unavailable",
        Reason::RateLimited,
        Reach::Account,
    ),
    reaching(
        "subscription_sharing_user_not_eligible",
        Reason::NotEntitled,
        Reach::Account,
    ),
    mark("subscription_sharing_invalid_user", Reason::NeedsLogin),
    mark("usage_limit_reached", Reason::QuotaExhausted),
    mark("quota_exceeded", Reason::QuotaExhausted),
    mark(
        "subscription_sharing_usage_limit_exceeded",
        Reason::QuotaExhausted,
    ),
    spent("user_weekly_rate_limited", limits::WEEKLY_LONGEST),
    reaching(
        "user_global_rate_limited",
        Reason::RateLimited,
        Reach::Account,
    ),
    mark("free_quota_exceeded", Reason::QuotaExhausted),
    mark("overage_limit_reached", Reason::OutOfCredit),
    reaching(
        "agent_mode_limit_exceeded",
        Reason::RateLimited,
        Reach::Account,
    ),
    mark("model_overloaded", Reason::Overloaded),
    reaching("user_model_rate_limited", Reason::RateLimited, Reach::Model),
    reaching(
        "integration_rate_limited",
        Reason::RateLimited,
        Reach::Egress,
    ),
    mark("rate_limit_exceeded", Reason::RateLimited),
    mark("rate_limit_error", Reason::RateLimited),
    mark("rate_limited", Reason::RateLimited),
    mark("ramp_limit_exceeded", Reason::RateLimited),
    mark("overloaded_error", Reason::Overloaded),
    mark("server_is_overloaded", Reason::Overloaded),
    mark("slow_down", Reason::Overloaded),
    mark("server_error", Reason::ServerError),
    mark("api_error", Reason::ServerError),
    mark("invalid_api_key", Reason::TokenExpired),
    mark("invalid_token", Reason::TokenExpired),
    mark("token_expired", Reason::TokenExpired),
    mark("authentication_error", Reason::TokenExpired),
    mark("permission_error", Reason::Forbidden),
    // Where the request comes from, or what it says, is the same for every account.
    reaching(
        "unsupported_country_region_territory",
        Reason::Forbidden,
        Reach::Request,
    ),
    reaching(
        "content_policy_violation",
        Reason::ClientError,
        Reach::Request,
    ),
    reaching("content_filter", Reason::ClientError, Reach::Request),
    reaching("moderation_blocked", Reason::ClientError, Reach::Request),
    reaching("invalid_prompt", Reason::ClientError, Reach::Request),
    reaching(
        "ResponsibleAIPolicyViolation",
        Reason::ClientError,
        Reach::Request,
    ),
    mark("verification_required", Reason::NeedsVerification),
    mark("account_deactivated", Reason::BlockedByProvider),
    mark("account_disabled", Reason::BlockedByProvider),
    mark("account_suspended", Reason::BlockedByProvider),
    mark("model_not_found", Reason::NotEntitled),
    mark("model_not_supported", Reason::NotEntitled),
    mark("model_not_available", Reason::NotEntitled),
    mark("usage_not_included", Reason::NotEntitled),
    mark("invalid_request_error", Reason::ClientError),
    // The reasons of a google.rpc.ErrorInfo.
    mark("RATE_LIMIT_EXCEEDED", Reason::RateLimited),
    mark("QUOTA_EXHAUSTED", Reason::QuotaExhausted),
    mark("QUOTA_EXCEEDED", Reason::QuotaExhausted),
    mark("MODEL_CAPACITY_EXHAUSTED", Reason::Overloaded),
    mark("INSUFFICIENT_G1_CREDITS_BALANCE", Reason::OutOfCredit),
    mark("BILLING_DISABLED", Reason::OutOfCredit),
    mark("API_KEY_INVALID", Reason::TokenExpired),
    mark("ACCESS_TOKEN_EXPIRED", Reason::TokenExpired),
    mark("VALIDATION_REQUIRED", Reason::NeedsVerification),
    mark("CONSUMER_SUSPENDED", Reason::BlockedByProvider),
    mark("SERVICE_DISABLED", Reason::NotEntitled),
    // Its canonical status names; a 499 is a service that gave up by itself.
    mark("RESOURCE_EXHAUSTED", Reason::RateLimited),
    mark("UNAUTHENTICATED", Reason::TokenExpired),
    mark("PERMISSION_DENIED", Reason::Forbidden),
    mark("UNAVAILABLE", Reason::Overloaded),
    mark("CANCELLED", Reason::Overloaded),
    mark("INVALID_ARGUMENT", Reason::ClientError),
];

/// Model Studio's own words beside those of OpenAI's shape. Its daily allowance goes by OpenAI's word for no credit.
pub(crate) const QWEN: &[Mark] = &[
    spent("insufficient_quota", limits::DAILY_LONGEST),
    mark("Throttling", Reason::RateLimited),
    mark("Throttling.RateQuota", Reason::RateLimited),
    mark("Throttling.AllocationQuota", Reason::RateLimited),
    mark("limit_requests", Reason::RateLimited),
    reaching("DataInspectionFailed", Reason::ClientError, Reach::Request),
    reaching(
        "data_inspection_failed",
        Reason::ClientError,
        Reach::Request,
    ),
    mark("Arrearage", Reason::OutOfCredit),
    mark("InvalidApiKey", Reason::TokenExpired),
];

/// Codes of the Connect protocol.
pub(crate) const CURSOR: &[Mark] = &[
    mark("unauthenticated", Reason::TokenExpired),
    mark("permission_denied", Reason::Forbidden),
    mark("resource_exhausted", Reason::RateLimited),
    mark("unavailable", Reason::Overloaded),
    mark("internal", Reason::ServerError),
];

/// Codes of Oracle's services.
pub(crate) const OCI: &[Mark] = &[
    mark("TooManyRequests", Reason::RateLimited),
    mark("NotAuthenticated", Reason::TokenExpired),
    mark("QuotaExceeded", Reason::QuotaExhausted),
    mark("LimitExceeded", Reason::QuotaExhausted),
    mark("InternalServerError", Reason::ServerError),
];
