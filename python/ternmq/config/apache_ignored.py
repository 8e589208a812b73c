"""Keys of Apache's brokers that mean nothing here, by the reason: what is not there yet, or needs no setting."""

IGNORED: dict[str, str] = {}


def _ignored(why: str, names: str) -> None:
    for name in names.split():
        IGNORED[name] = why


# What both files have: the keys of Apache's netty classes.
SOCKETS = "sockets are set up by the engine"

_ignored(
    "accounts and caches of access control, which is off",
    """authenticationProvider authenticationMetadataProvider authenticationStrategy authenticationWhitelist
    initAuthenticationUser innerClientAuthenticationCredentials authorizationProvider
    authorizationMetadataProvider authorizationStrategy authorizationWhitelist userCacheMaxNum
    userCacheExpiredSecond userCacheRefreshSecond aclCacheMaxNum aclCacheExpiredSecond aclCacheRefreshSecond
    statefulAuthenticationCacheMaxNum statefulAuthenticationCacheExpiredSecond statefulAuthorizationCacheMaxNum
    statefulAuthorizationCacheExpiredSecond authConfigPath clusterName configName""",
)
_ignored(
    "threads and queues are sized by the engine, whose limits have names of their own",
    """sendMessageThreadPoolNums putMessageFutureThreadPoolNums pullMessageThreadPoolNums
    litePullMessageThreadPoolNums processReplyMessageThreadPoolNums queryMessageThreadPoolNums
    adminBrokerThreadPoolNums ackMessageThreadPoolNums clientManageThreadPoolNums consumerManageThreadPoolNums
    heartbeatThreadPoolNums endTransactionThreadPoolNums loadBalanceProcessorThreadPoolNums
    putThreadPoolQueueCapacity sendThreadPoolQueueCapacity replyThreadPoolQueueCapacity
    pullThreadPoolQueueCapacity litePullThreadPoolQueueCapacity ackThreadPoolQueueCapacity
    endTransactionPoolQueueCapacity queryThreadPoolQueueCapacity heartbeatThreadPoolQueueCapacity
    clientManagerThreadPoolQueueCapacity consumerManagerThreadPoolQueueCapacity
    adminBrokerThreadPoolQueueCapacity loadBalanceThreadPoolQueueCapacity brokerFastFailureEnable
    waitTimeMillsInSendQueue waitTimeMillsInPullQueue waitTimeMillsInLitePullQueue waitTimeMillsInHeartbeatQueue
    waitTimeMillsInTransactionQueue waitTimeMillsInAckQueue waitTimeMillsInAdminBrokerQueue asyncSendEnable
    maxAsyncPutMessageRequests litePullMessageEnable recoverConcurrently
    recoverThreadPoolNums sendHeartbeatTimeoutMillis filterServerNums maxDelayTime""",
)
_ignored(
    SOCKETS,
    """serverWorkerThreads serverSelectorThreads serverCallbackExecutorThreads serverOnewaySemaphoreValue
    serverAsyncSemaphoreValue serverChannelMaxIdleTimeSeconds serverSocketSndBufSize serverSocketRcvBufSize
    serverSocketBacklog serverNettyWorkerGroupEnable serverPooledByteBufAllocatorEnable useEpollNativeSelector
    writeBufferHighWaterMark writeBufferLowWaterMark clientWorkerThreads clientCallbackExecutorThreads
    clientOnewaySemaphoreValue clientAsyncSemaphoreValue connectTimeoutMillis channelNotActiveInterval
    clientChannelMaxIdleTimeSeconds clientSocketSndBufSize clientSocketRcvBufSize
    clientPooledByteBufAllocatorEnable clientCloseSocketIfTimeout disableNettyWorkerGroup
    enableReconnectForGoAway enableFastChannelEventProcess enableShutdownGracefully shutdownWaitTimeSeconds
    isScanAvailableNameSrv scanAvailableNameSrv disableCallbackExecutor
    maxReconnectIntervalTimeSeconds socksProxyConfig""",
)
_ignored(
    "the broker registers at once on every change and asks each NameServer every 2 s",
    """registerNameServerPeriod registerBrokerTimeoutMills forceRegister compressedRegister
    enableSingleTopicRegister enableSplitRegistration splitRegistrationSize brokerHeartbeatInterval
    brokerNotActiveTimeoutMillis fetchNamesrvAddrInterval compatibleWithOldNameSrv updateNameServerAddrPeriod""",
)
_ignored(
    "the Raft log has its own files, sizes and checksums; page cache and memory maps are not tuned by hand",
    """mappedFileSizeConsumeQueue mappedFileSizeConsumeQueueExt mapperFileSizeBatchConsumeQueue
    enableConsumeQueueExt bitMapLengthConsumeQueueExt storePathEpochFile storePathBrokerIdentity storeType
    maxTopicLength autoMessageVersionOnTopicLen syncFlushTimeout flushCommitLogTimed flushIntervalCommitLog
    flushCommitLogLeastPages flushCommitLogThoroughInterval commitIntervalCommitLog commitCommitLogLeastPages
    commitCommitLogThoroughInterval flushIntervalConsumeQueue flushConsumeQueueLeastPages
    flushConsumeQueueThoroughInterval transientStorePoolEnable transientStorePoolSize
    fastFailIfNoBufferInStorePool useReentrantLockWhenPutMessage useABSLock topicQueueLockNum
    osPageCacheBusyTimeOutMills putMessageTimeout warmMapedFileEnable flushLeastPagesWhenWarmMapedFile
    duplicationEnable enabledAppendPropCRC forceVerifyPropCRC wakeCommitWhenPutMessage wakeFlushWhenPutMessage
    checkCRCOnRecover checkCommitLogOffsetOnRecover commitLogRecoverMaxNum maxRecoveryCommitlogFiles
    enableAcceleratedRecovery enableRunningFlagsInFlush enableLogConsumeQueueRepeatedlyBuildWhenRecover
    mappedFileSwapEnable commitLogForceSwapMapInterval commitLogSwapMapInterval commitLogSwapMapReserveFileNum
    logicQueueSwapMapInterval logicQueueSwapMapReserveFileNum cleanSwapedMapInterval dataReadAheadEnable
    debugLockEnable spinLockCollisionRetreatOptimalDegree dispatchCqThreads dispatchCqCacheNum
    dispatchFromSenderThread enableAsyncReput enableBuildConsumeQueueConcurrently
    batchDispatchRequestThreadPoolNums recheckReputOffsetFromCq correctLogicMinOffsetSleepInterval
    correctLogicMinOffsetForceInterval maxConsumeQueueScan configManagerVersion putMsgIndexHightWater
    logicQueueForceSwapMapInterval maxChecksumRange putConsumeQueueDataByFileChannel searchBcqByCacheEnable
    sharedByteBufferNum writeWithoutMmap mapedFileSizeConsumeQueue sampleCountThreshold sampleSteps""",
)
_ignored(
    "consume queues are files of the engine; RocksDB is not used",
    """rocksdbCQDoubleWriteEnable enableRocksDBLog rocksdbFlushWalFrequency memTableFlushIntervalMs
    cleanRocksDBDirtyCQIntervalMin statRocksDBCQIntervalSec bottomMostCompressionTypeForConsumeQueueStore
    rocksdbCompressionType transRocksDBEnable transactionCheckRocksdbMaxThreads timerRocksDBEnable
    timerRocksDBPrecisionMs timerRocksDBTimeExpiredMaxTps combineCQPreferCQType combineAssignOffsetCQType
    combineCQEnableCheckSelf combineCQLoadingCQTypes combineCQMaxExtraSearchCommitLogFiles
    combineCQUseRocksdbForLmq useSingleRocksDBForAllConfigs realTimePersistRocksDBConfig
    rocksdbWalFileRollingThreshold useSeparateStorePathForRocksdbCQ iteratorWhenUseRocksdbConsumeQueue
    maxRocksDBIndexQueryDays indexRocksDBEnable memTableFlushInterval""",
)
_ignored(
    "reading and its waiting are bounded by the engine; consumers tell it when they change",
    """maxTransferBytesOnMessageInMemory maxTransferCountOnMessageInMemory maxTransferBytesOnMessageInDisk
    maxTransferCountOnMessageInDisk travelCqFileNumWhenGetMessage
    pullBatchMaxMessageCount diskFallRecorded offsetCheckInSlave transferMsgByHeap longPollingEnable
    shortPollingTimeMills notifyConsumerIdsChangedEnable flushConsumerOffsetInterval
    flushConsumerOffsetHistoryInterval disableConsumeIfConsumerReadSlowly consumerFallbehindThreshold
    channelExpiredTimeout subscriptionExpiredTimeout enableBroadcastOffsetStore broadcastOffsetExpireSecond
    broadcastOffsetExpireMaxSecond useServerSideResetOffset coldDataFlowControlEnable coldDataScanEnable
    accessMessageInMemoryHotRatio cgColdReadThreshold globalColdReadThreshold coldCtrStrategyEnable
    timerColdDataCheckIntervalMs enableNetWorkFlowControl consumerOffsetUpdateVersionStep
    delayOffsetUpdateVersionStep enableCleanExpiredOffset persistConsumerOffsetIncrementally
    realTimeNotifyConsumerChange useStaticSubscription usePIDColdCtrStrategy printChannelGroups
    printChannelGroupsMinNum""",
)
_ignored(
    "system topics and groups always exist; permission bits are those of the topic",
    """clusterTopicEnable brokerTopicEnable traceTopicEnable msgTraceTopicName enableCreateSysGroup
    validateSystemTopicWhenUpdateTopic""",
)
_ignored(
    "the key index is always written and grows as it needs; a query gives at most 64 messages",
    """messageIndexEnable messageIndexSafe maxHashSlotNum maxIndexNum maxMsgsNumBatch defaultQueryMaxNum
    indexFileReadEnable indexFileWriteEnable""",
)
_ignored(
    "filters by SQL92 are not there yet; such subscriptions are refused",
    """enablePropertyFilter enableCalcFilterBitMap filterSupportRetry expectConsumerNumUseFilter
    maxErrorRateOfBloomFilter maxFilterMessageSize filterDataCleanTimeSpan useMessageFilterForNotification
    maxMessageFilterNumForNotification""",
)
_ignored(
    "transactions are not there yet; such sends are refused",
    """rejectTransactionMessage transactionTimeOut transactionCheckMax transactionCheckInterval
    transactionMetricFlushInterval transactionOpMsgMaxSize transactionOpBatchInterval
    transactionCheckRocksdbCoreThreads transactionCheckRocksdbQueueCapacity transWriteOriginTransHalfEnable""",
)
_ignored(
    "the 18 delay levels keep their progress in the log; timers are not there yet, and such sends are refused",
    """flushDelayOffsetInterval enableScheduleAsyncDeliver scheduleAsyncDeliverMaxPendingLimit
    scheduleAsyncDeliverMaxResendNum2Blocked enableScheduleMessageStats timerWheelEnable timerPrecisionMs
    timerMaxDelaySec timerRollWindowSlot timerFlushIntervalMs timerGetMessageThreadNum timerPutMessageThreadNum
    timerCongestNumEachSlot timerCheckMetricsWhen mappedFileSizeTimerLog timerEnableCheckMetrics
    timerInterceptDelayLevel timerEnableDisruptor timerSkipUnknownError timerWarmEnable timerStopDequeue
    timerStopEnqueue timerEnableRetryUntilSuccess timerRecallToTimelineEnable timerWheelSnapshotFlush
    appendTopicForTimerDeleteKey recallMessageEnable allowRecallWhenBrokerNotWriteable timerMetricSmallThreshold
    timerProgressLogIntervalMs timerRecallToTimeWheelEnable timerReputServiceCorePoolSize
    timerReputServiceMaxPoolSize timerReputServiceQueueCapacity timerRocksDBRollIntervalHours
    timerRocksDBRollMaxTps timerRocksDBRollRangeHours timerRocksDBStopScan timerWheelSnapshotIntervalMs""",
)
_ignored(
    "retention is not there yet: nothing is deleted",
    """fileReservedTime deleteWhen diskMaxUsedSpaceRatio diskSpaceCleanForciblyRatio diskSpaceWarningLevelRatio
    cleanResourceInterval deleteCommitLogFilesInterval deleteConsumeQueueFilesInterval deleteFileBatchMax
    maxBatchDeleteFilesNum destroyMapedFileIntervalForcibly redeleteHangedFileInterval replicasPerDiskPartition
    logicalDiskSpaceCleanForciblyThreshold cleanOfflineBrokerInterval""",
)
_ignored(
    "not taken over: unexpired messages are never deleted on a full disk, writes are refused first",
    "cleanFileForciblyEnable",
)
_ignored(
    "Raft members replicate over the ports in dLegerPeers; there is no HA stream",
    """brokerIP2 haSendHeartbeatInterval haHousekeepingInterval haTransferBatchSize
    haSlaveFallbehindMax haMaxGapNotInSync slaveTimeout totalReplicas inSyncReplicas minInSyncReplicas
    enableAutoInSyncReplicas allAckInSyncStateSet haFlowControlEnable maxHaTransferByteInSecond
    haMaxTimeSlaveNotCatchup syncMasterFlushOffsetWhenStartup syncFromLastFile asyncLearner skipPreOnline
    syncBrokerMemberGroupPeriod lockInStrictMode maxSlaveResendLength enableBatchPush enableSplitMetadata
    splitMetadataSize isEnableBatchPush""",
)
_ignored(
    "there is no controller",
    """controllerAddr fetchControllerAddrByDnsLookup syncBrokerMetadataPeriod checkSyncStateSetPeriod
    syncControllerMetadataPeriod controllerHeartBeatTimeoutMills brokerElectionPriority""",
)
_ignored(
    "metrics are not there yet",
    """metricsExporterType metricsPromExporterPort metricsPromExporterHost metricsGrpcExporterTarget
    metricsGrpcExporterHeader metricGrpcExporterTimeOutInMills metricGrpcExporterIntervalInMills
    metricLoggingExporterIntervalInMills metricsLabel metricsInDelta metricsOtelCardinalityLimit
    enableConnectionMetrics enableRemotingMetrics enableMessageStoreMetrics enableTransactionMetrics
    enablePopMetrics enableRequestMetrics enableStatsMetrics enableLagAndDlqMetrics enableDetailStat
    autoDeleteUnusedStats maxStatsIdleTimeInMinutes accountStatsEnable accountStatsPrintZeroValues
    commercialEnable commercialTimerCount commercialTransCount commercialBigCount commercialBaseCount
    commercialSizePerMsg estimateAccumulation isolateLogEnable metricsExportBatchMaxDataPoints""",
)
_ignored(
    "pop consumption is not there yet",
    """defaultMessageRequestMode defaultPopShareQueueNum popPollingSize popPollingMapSize maxPopPollingSize
    popCkStayBufferTime popCkStayBufferTimeOut popCkMaxBufferSize popCkOffsetMaxQueueSize enablePopBatchAck
    enablePopBufferMerge enablePopLog enableLitePopLog enablePopMessageThreshold popInflightMessageThreshold
    popFromRetryProbability popResponseReturnActualRetryTopic popReviveConcurrency popReviveMaxReturnSizePerRead
    popReviveMaxAttemptTimes popConsumerFSServiceInit popConsumerKVServiceEnable popConsumerKVServiceInit
    popConsumerKVServiceLog retrieveMessageFromPopRetryTopicV1 enableRetryTopicV2 reviveAckWaitMs reviveInterval
    reviveMaxSlow reviveQueueNum reviveScanTime initPopOffsetByCheckMsgInMem
    enableNotifyAfterPopOrderLockRelease enableNotifyBeforePopCalculateLag appendAckAsync appendCkAsync
    enableSkipLongAwaitingAck loadBalancePollNameServerInterval serverLoadBalancerEnable
    popFromRetryProbabilityForPriority popLongPollingForceNotifyInterval popPollingMapExpireTimeSeconds
    popReviveSkipIfGroupAbsent skipWhenCKRePutReachMaxTimes useSeparateRetryQueue priorityOrderAsc
    popReviveRetryIntervals popConsumerMaxInflight""",
)
_ignored(
    "light queues, batch queues, compaction and static topics are not there",
    """maxLmqConsumeQueueNum enableLmqQuota enableLmqStats enableLiteEventMode liteEventFullDispatchDelayTime
    liteSubscriptionCheckTimeoutMills liteLagLatencyCollectEnable liteLagLatencyMetricsEnable enableCompaction
    compactionScheduleInternal compactionThreadNum compactionMappedFileSize compactionCqMappedFileSize
    maxOffsetMapSize enableMixedMessageType liteEventCheckInterval
    liteEventFullDispatchDelayTimeForWildcardGroup liteLagCountMetricsEnable liteLagLatencyTopK
    liteSubscriptionCheckInterval liteTtlCheckInterval maxClientEventCount maxLiteSubscriptionCount minLiteTTl""",
)
_ignored(
    "a setting of the Java process",
    "rocketmqHome configBlackList forwardTimeout disappearTimeAfterStart highSpeedMode brokerConfigPath",
)
_ignored(
    "there is no controller: a group elects its master itself",
    """controllerDLegerGroup controllerDLegerPeers controllerDLegerSelfId controllerRequestThreadPoolQueueCapacity
    controllerStorePath controllerThreadPoolNums controllerType electMasterMaxRetryCount enableElectUncleanMaster
    isProcessReadEvent processReadEvent jraftConfig mappedFileSize notifyBrokerRoleChanged
    scanInactiveMasterInterval""",
)
_ignored(
    "a key of the NameServer, not of a broker",
    """kvConfigPath configStorePath orderMessageEnable scanNotActiveBrokerInterval supportActingMaster
    enableControllerInNamesrv returnOrderTopicConfigToBroker deleteTopicWithBrokerRegistration productEnvName
    clusterTest enableAllTopicList enableTopicList notifyMinBrokerIdChanged needWaitForService waitSecondsForService
    clientRequestThreadPoolNums clientRequestThreadPoolQueueCapacity defaultThreadPoolNums
    defaultThreadPoolQueueCapacity unRegisterBrokerQueueCapacity""",
)
_ignored(
    "answers always say region DefaultRegion and that traces may be sent",
    "regionId traceOn",
)
_ignored(
    "who may pull, produce or ask for replies is not restricted",
    "rejectPullConsumerEnable enableRegisterProducer storeReplyMessageEnable clearRetryTopicWhenDeleteTopic",
)
_ignored(
    "-n or namesrvAddr names the NameServers",
    "fetchNamesrvAddrByAddressServer",
)
_ignored(
    "there is no tiered storage; everything stays on this disk",
    """commitLogRollingInterval commitLogRollingMinimumSize objectStoreAccessKey objectStoreBucket
    objectStoreEndpoint objectStoreSecretKey readAheadCacheEnable readAheadCacheExpireDuration
    readAheadCacheSizeThresholdRate readAheadMessageCountThreshold readAheadMessageSizeThreshold
    recordGetMessageResult tieredBackendServiceProvider tieredMetadataServiceProvider tieredStorageLevel
    tieredStoreCommitLogMaxSize tieredStoreConsumeQueueMaxSize tieredStoreCrcCheckEnable
    tieredStoreDeleteFileEnable tieredStoreDeleteFileInterval tieredStoreFilePath tieredStoreFileReservedTime
    tieredStoreGroupCommit tieredStoreGroupCommitCount tieredStoreGroupCommitSize tieredStoreGroupCommitTimeout
    tieredStoreIndexFileMaxHashSlotNum tieredStoreIndexFileMaxIndexNum tieredStoreMaxGroupCommitCount
    tieredStoreMaxPendingLimit""",
)
_ignored(
    "the consume queues, the key index and the marks of a start lie below the data folder; Apache's own"
    " releases of today do not read it",
    "storePathConsumeQueue storePathIndex storeCheckpoint abortFile storePathCheckpoint storePathAbort",
)
_ignored(
    "no release of Apache reads it, though files often have it",
    """checkTransactionMessageEnable fastListenPort enableMessageIndex enableProxy namesrv.addr socketSndBufSize
    socketRcvBufSize scheduleMessagePath scheduleMessageServiceEnable scheduleMessageEnable configPath
    logbackPath logPath autoDeleteTopicEnable retryAnotherBrokerWhenNotStoreOK controllerDeployedStandAlone""",
)
