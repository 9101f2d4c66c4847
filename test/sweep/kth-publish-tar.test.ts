import { failEachCall } from '../helpers/sweeps/sweep-tests.ts'

failEachCall('publish tar')
