/**
 * The sizes and spans of the fetch path. All rules about accounts, statuses and delays are native.
 */

/**
 * A one-shot stream body is kept for a second attempt up to this size: a long conversation with a
 * few images.
 */
export const REPLAY_BYTES = 8 * 1024 * 1024

/**
 * As much of an error body as the policy reads; the longest seen from a provider is under 8 KiB.
 */
export const ERROR_BODY_BYTES = 64 * 1024

/**
 * An event stream is held this long at most before its first output; a header timeout of a host is
 * far longer.
 */
export const PEEK_BYTES = 64 * 1024

/**
 * A JSON answer that is only an error says so within its first letters; what does not is handed on
 * at once.
 */
export const ERROR_WITHIN = 256

/** A JSON answer this short comes in one piece, or in two that follow each other at once. */
export const ONE_PIECE_BYTES = 8 * 1024

/** Patience with a response whose status has arrived and whose first bytes have not. */
export const PEEK_MS = 15_000

/**
 * As much of an item's value as names it: encrypted text differs in its last characters, and
 * differs by them alone.
 */
export const ITEM_CHARACTERS = 128

/** Redirects of one request (Fetch standard, HTTP-redirect fetch, step 7). */
export const REDIRECTS = 20

/** As many requests as the addon keeps: the conversations of a busy server. */
export const ASKED_CONVERSATIONS = 4096

/** Requests of one conversation, which differ in their model or address. */
export const ASKED_OF_ONE = 8

/** Headers of so many accounts are kept ready: those that serve at one time are fewer. */
export const LENT_ACCOUNTS = 1024
