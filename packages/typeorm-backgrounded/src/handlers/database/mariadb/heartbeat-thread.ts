import { beatInThread } from '../../heartbeat/beat-in-thread'
import { mariaDbPulse } from './worker-pulse'

beatInThread(mariaDbPulse)
