import { USERS } from '../model/users'
import { ATTEMPTS } from '../sides/side'

/** How everything is measured. */
export const METHOD = [
  `The work: a table \`bench_user\` of ${USERS.toLocaleString('en')} rows; a job names one of them, and the worker reloads it and calls a ` +
    'method that only counts. By hand, the job is `{ id }`, with the same ' +
    `${ATTEMPTS} attempts and a growing backoff, and the processor calls \`repository.findOneBy({ id })\`. Floors do no more than ` +
    'claim, reload and acknowledge with raw SQL through the driver, in batches as large as the slots. The library runs with all of its ' +
    'safety: leases, fenced acknowledgements, calls that follow their transaction, the outbox on Redis. An INSERT of the job by hand ' +
    "goes, in the transaction of the row, into a job table of the application's own, which has the columns that a worker needs and the " +
    'index that a claim needs.',
  'The sides take turns in one run; each ratio is that of two neighbours, and the table shows the median of the rounds. Every turn has ' +
    'a database and a Redis of its own, and every enqueue and every worker a fresh process, with the same number of connections in its ' +
    'pool; the clock of an enqueue starts after as many calls as are named, since a process that calls is a long-lived one; ' +
    'this library and graphile-worker hold a few more of their own for claims and wake-ups. A drain is timed from its first run ' +
    'to its last one. Servers, producers and workers share the machine. Where a figure is compared with the best of several peers, that is the peer with ' +
    'the best median.',
  'An idle worker is watched for a minute. Its statements are counted by a proxy between it and Postgres, one for each CommandComplete ' +
    'message of the server; its CPU time is that of its whole process. The write-ahead log is measured by its position, for the ' +
    'whole server: jobs enqueued 500 at a time, and then drained.',
].join('\n\n')
