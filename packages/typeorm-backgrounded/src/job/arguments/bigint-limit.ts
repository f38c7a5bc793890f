/** The most digits of a bigint among the arguments. The time to print or read one grows faster than its length. */
export const MAX_BIGINT_DIGITS = 10_000
