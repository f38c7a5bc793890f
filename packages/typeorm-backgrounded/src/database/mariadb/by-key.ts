/**
 * Makes MariaDB search by the primary key. It would scan a small table instead, and a statement that locks rows waits for
 * every row that it scans, also for rows that an open transaction of the application has inserted.
 * A DELETE needs a condition on a second column too, because MariaDB still scans when it has a condition on the key alone.
 */
export const BY_KEY = 'FORCE INDEX (PRIMARY)'
