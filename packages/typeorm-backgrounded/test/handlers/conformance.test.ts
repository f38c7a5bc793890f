import { describe, it } from 'mocha'
import { NullHandler, SynchronousHandler } from '../../src'
import { FakeHandler, handlerConformance } from '../../src/testing'
import { inMemory } from '../support/data-sources'

handlerConformance({ describe, it, handler: () => new SynchronousHandler(), dataSource: inMemory })
handlerConformance({ describe, it, handler: () => new NullHandler(), dataSource: inMemory })
handlerConformance({ describe, it, handler: () => new FakeHandler(), dataSource: inMemory })
