/** ms since the epoch. Not UNIX_TIMESTAMP(NOW(3)), which is off by an hour when daylight saving time ends. */
export const NOW = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000)"
