import 'reflect-metadata'
import { DataSource, type DataSourceOptions } from 'typeorm'
import { SynchronousHandler, withBackgrounded } from 'typeorm-backgrounded'
import { BullHandler } from 'typeorm-backgrounded/bull'
import { DatabaseHandler } from 'typeorm-backgrounded/database'
import type { Store } from './stores'
import { Task } from './task'

const store = JSON.parse(process.env.STORE as string) as Store

export const handler = createHandler()

export const dataSource = withBackgrounded(
  new DataSource({ ...store.connection, entities: [Task], synchronize: store.isNew } as unknown as DataSourceOptions),
  { handler },
)

function createHandler() {
  switch (store.handler) {
    case 'database':
      return new DatabaseHandler({ listen: store.listen })
    case 'bull':
      return new BullHandler({ redis: store.redis, prefix: store.prefix })
    case 'synchronous':
      return new SynchronousHandler()
  }
}
