import { USERS } from '../model/users'
import { ATTEMPTS } from '../sides/side'

/** How everything is measured. */
export const METHOD = [
  `The work uses a table \`bench_user\` of ${USERS.toLocaleString('en')} rows. A job names one of them, and the worker reloads it and calls a ` +
    'method that only counts. For the other sides, the job is `{ id }`, with the same ' +
    `${ATTEMPTS} attempts and a growing backoff, and the processor calls \`repository.findOneBy({ id })\`. A "floor" only ` +
    'claims, reloads and acknowledges, with raw SQL through the driver, in batches as large as the number of slots. This library runs ' +
    'with all of its safety: leases, fenced acknowledgements, calls that follow their transaction, and the outbox on Redis. The INSERT ' +
    "that is written by hand goes, in the transaction of the row, into a job table of the application's own, which has the columns that " +
    'a worker needs and the index that a claim needs.',
  'The sides take turns in one run. Each ratio compares two neighbouring turns, and the table shows the median of the rounds. Every turn has ' +
    'a database and a Redis of its own. Every enqueue and every worker has a fresh process, with the same number of connections in its ' +
    'pool; this library and graphile-worker hold a few more connections for claims and for notifications. The clock of an enqueue starts after ' +
    'the warm-up calls that are given as `warmUp`, because a process that makes calls usually runs for a long time. A drain is timed from the first run of the ' +
    'method to the last. Servers, producers and workers share the machine. If a figure is compared with the best of ' +
    'several peers, that is the peer with the best median.',
  'An idle worker is watched for a minute. A proxy between it and Postgres counts its statements by the CommandComplete ' +
    'messages of the server. Its CPU time is that of its whole process. The write-ahead log is measured for the whole server, by its ' +
    'position: jobs are enqueued 500 at a time, and then drained.',
].join('\n\n')
