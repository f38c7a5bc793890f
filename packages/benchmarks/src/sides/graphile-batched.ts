import { openGraphile } from './graphile'
import type { OpenSide } from './side'

/** graphile-worker at its best: a local queue of 500, and jobs completed in batches. */
export const open: OpenSide = (place) =>
  openGraphile(place, { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 })
