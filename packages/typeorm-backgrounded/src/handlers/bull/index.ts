export { BullHandler } from './bull-handler'
export type { BullHandlerOptions, ConnectionType, CreateClient } from './options'
