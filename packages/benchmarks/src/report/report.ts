import type { Result } from '../measure/result'
import { environmentSection } from './environment-section'
import { figureSection } from './figure-section'
import { METHOD } from './method'
import { targetsTable } from './targets-table'

/** What a run prints. */
export function reportOf({ figures, isQuick }: Result): string {
  const warning = isQuick ? '**Measured with --quick: these figures mean nothing.**' : ''
  const table = targetsTable(figures, { isWhole: false })
  return [warning, table, ...figures.map(figureSection), environmentSection(figures), METHOD]
    .filter((part) => part !== '')
    .join('\n\n')
}
