import type { Store } from './places/place'
import type { SideName } from './sides'
import type { SettingsOf, WorkName } from './work'

/** What is measured together: the turns of a figure are taken one after the other, again and again. */
export interface Figure {
  /** Words with hyphens: `--only` matches them. */
  readonly name: string
  readonly title: string
  /** The store of this library that it is about, if it is about one. */
  readonly store?: Store
  readonly turns: readonly Turn[]
  /** Turns keep their place from one round to the next, default false. */
  readonly keepsPlaces?: boolean
  /** Default: as many as `--pairs` says. */
  readonly rounds?: number
}

/** One side's go in a round. */
export type Turn = {
  [Name in WorkName]: {
    readonly label: string
    readonly side: SideName
    readonly work: Name
    readonly settings: SettingsOf<Name>
    /** Connections, default 10. */
    readonly pool?: number
  }
}[WorkName]

export const POOL = 10

/** Turns of several sides that do the same. */
export function turnsOf<Name extends WorkName>(
  sides: readonly SideName[],
  work: Name,
  settings: SettingsOf<Name>,
  pool = POOL,
): Turn[] {
  return sides.map((side) => ({ label: side, side, work, settings, pool }) as unknown as Turn)
}
