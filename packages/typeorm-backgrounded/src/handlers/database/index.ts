export { DatabaseHandler } from './database-handler'
export type { DatabaseHandlerOptions } from './database-handler'
export { BackgroundedJob } from './job-table'
