import type { PrivatePlace } from '../places/place'
import type { SideName } from '../sides'

/** Figures by name: `pace` (a second), `p50` (ms), `rss` (MB), and the like. */
export type Metrics = Readonly<Record<string, number>>

/** Has one side do some work, in fresh processes, and says what it cost. */
export type Work<Settings> = (side: SideName, place: PrivatePlace, settings: Settings) => Promise<Metrics>
