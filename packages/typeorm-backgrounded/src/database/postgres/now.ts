/**
 * The time at which the statement began, as ms since the epoch. Not `clock_timestamp()`, which is volatile, so that no index
 * can be searched for it.
 */
export const NOW = '(extract(epoch from statement_timestamp()) * 1000)::bigint'
/** The time when it is evaluated, as ms since the epoch. */
export const MOMENT = '(extract(epoch from clock_timestamp()) * 1000)::bigint'
