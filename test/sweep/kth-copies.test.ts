import { failEachCall } from '../helpers/sweeps/sweep-tests.ts'

failEachCall('copy to')
failEachCall('copy from')
