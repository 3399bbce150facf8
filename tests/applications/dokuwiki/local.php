<?php
$conf['title'] = 'Wiki';
$conf['license'] = '';
$conf['authtype'] = 'authvestibule';
$conf['useacl'] = 1;
$conf['superuser'] = '@admin';
$conf['disableactions'] = 'register,resendpwd,profile,profile_delete';
