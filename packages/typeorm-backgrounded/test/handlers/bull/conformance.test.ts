import { randomUUID } from 'node:crypto'
import { describe, it } from 'mocha'
import { BullHandler } from '../../../src/handlers/bull'
import { handlerConformance } from '../../../src/testing'
import { inMemory } from '../../support/data-sources'

handlerConformance({
  describe,
  it,
  handler: () => new BullHandler({ prefix: `test-${randomUUID()}` }),
  dataSource: inMemory,
})
