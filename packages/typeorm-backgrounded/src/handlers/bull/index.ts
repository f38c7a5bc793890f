export { BullHandler } from './bull-handler'
export type { BullHandlerOptions } from './options'
export type { ConnectionType, CreateClient, RedisOption } from './redis-option'
