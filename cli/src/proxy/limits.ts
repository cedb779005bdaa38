/** The numbers of the proxy. */

/** Where nothing else is said: `PROX` on the keys of a telephone. */
export const PORT = 7769

/**
 * A request body up to this size is kept until its answer has come, so that another account can be sent it. The largest that
 * Anthropic's Messages API takes is 32 MB. What is longer is passed on as it comes, and sent once.
 */
export const REPLAY_BYTES = 32 * 1024 * 1024

/** What running requests are given when the proxy is told to stop. */
export const STOP_MS = 10_000

/**
 * An idle connection is kept for longer than clients keep theirs (httpx 5 s, Go 90 s), so that none is closed at the moment
 * when a request is written to it.
 */
export const IDLE_MS = 120_000

/** Letters of a token that a person wrote into a file: too many to try them all. */
export const SHORTEST_TOKEN = 32
