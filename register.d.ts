/**
 * Has the process's `fetch` authenticate requests to the origins of every provider of which the vault has an account:
 * `node --import provider-auth/register app.js`, or as the program's first import. Exports nothing.
 *
 * `PROVIDER_AUTH_REGISTER=openai,anthropic` narrows it to these providers, of which the first comes first where several have an
 * origin. An unknown or an empty name throws here, with `UNKNOWN_PROVIDER` or `INVALID_ARGUMENT`.
 */
export {}
