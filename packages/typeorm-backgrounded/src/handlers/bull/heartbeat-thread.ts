import { beatInThread } from '../heartbeat/beat-in-thread'
import { workerPulse } from './worker-pulse'

beatInThread(workerPulse)
