import { failEachCall } from '../helpers/sweeps/sweep-tests.ts'

failEachCall('pull to the store')
failEachCall('pull to a folder')
