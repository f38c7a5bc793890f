import { beatInThread } from '../../heartbeat/beat-in-thread'
import { postgresPulse } from './worker-pulse'

beatInThread(postgresPulse)
